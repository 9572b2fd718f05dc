package view

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// TreeOptions say how much of a tree is shown. By default a tree of up to
// SmallTree entries is shown whole; of a larger one what failed, runs or lacks
// entries stays open, and what went well is folded to one line per task.
type TreeOptions struct {
	Options
	// All shows every entry.
	All bool
	// Depth folds tasks this many levels below the outermost one; 0 for no
	// limit.
	Depth int
	// Errors shows only tasks that failed, were abandoned or run, absent
	// entries, and entries of level error and above.
	Errors bool
}

// SmallTree is the number of entries up to which a tree is shown whole.
const SmallTree = 60

// maxIndent is the number of levels up to which deeper tasks stand further to
// the right; below, the number of the level stands there instead.
const maxIndent = 24

// Tree writes an outermost task with all below it: one line each for a task, an
// entry and a run of absent entries, in the order of their positions, with time
// and duration before them, and the cause of failure at the end.
func Tree(w io.Writer, t *tree.Task, o TreeOptions) error {
	d := &drawing{pen: o.pen(), w: w, o: o, whole: o.All || !o.Errors && t.Entries <= SmallTree, said: said{}}
	d.title(t)
	d.task(t, "", "", false)
	d.items(t, nil, 0)
	d.cause(t)
	d.flush(0)
	return d.err
}

// drawing is a tree being written.
type drawing struct {
	*pen
	w     io.Writer
	err   error
	o     TreeOptions
	whole bool // nothing is folded for its size
	said  said // what the lines of the tasks around say
}

// line ends a line and passes on what has gathered.
func (d *drawing) line() {
	d.end()
	d.flush(32 << 10)
}

func (d *drawing) flush(keep int) {
	if len(d.dst) <= keep {
		return
	}
	if d.err == nil {
		_, d.err = d.w.Write(d.dst)
	}
	d.dst = d.dst[:0]
	d.fits = 0
}

// title says what the tree is and how much there is of it.
func (d *drawing) title(t *tree.Task) {
	if t.By != nil {
		d.text(none, t.Name)
	} else {
		d.text(dim, "trace ")
		d.text(none, t.Trace)
	}
	if t.Pos != "" {
		d.text(dim, " at "+string(t.Pos))
	}
	d.text(dim, ", "+totals(t))
	if day := d.o.at(t.Started, "Mon 2 Jan 2006 MST"); day != "" {
		d.text(dim, ", "+day)
	}
	d.line()
}

func totals(t *tree.Task) string {
	s := many(uint64(t.Entries), "entry", "entries")
	if t.Errors > 0 {
		s += ", " + many(uint64(t.Errors), "error", "errors")
	}
	if t.MissingCount() > 0 {
		s += ", " + count(t.MissingCount()) + " missing"
	}
	if t.Conflicts > 0 {
		s += ", " + count(uint64(t.Conflicts)) + " in conflict"
	}
	return s
}

// gutter writes the columns before the branches.
func (d *drawing) gutter(at time.Time, duration string) {
	d.left(dim, d.o.moment(at), d.o.timeWidth())
	d.right(none, duration, 8)
	d.space(2)
}

// task writes the line of a task; note is what follows the name, folded says
// that nothing of what is below is shown.
func (d *drawing) task(t *tree.Task, branch, note string, folded bool) {
	d.gutter(t.Started, Duration(t.Elapsed))
	d.text(dim, branch)
	d.text(outcomeStyle(t.Outcome), Mark(t.Outcome)+" ")
	st := bold
	if t.Troubled() {
		st = alarm
	}
	name := t.Name
	if name == "" {
		name = "(not known)"
		st = dim
	}
	d.text(st, name)
	if t.Service != "" && !t.Guessed && (t.Parent() == nil || t.Parent().Service != t.Service) {
		d.text(none, "  ")
		d.text(cyan, t.Service)
	}
	if t.Parent() != nil && t.Parent().Trace != t.Trace {
		d.text(dim, "  trace "+Prefixes([]*tree.Task{t})[0])
	}
	if t.Skipped > 0 {
		d.text(dim, "  ("+many(uint64(t.Skipped), "level", "levels")+" between unknown)")
	}
	d.state(t)
	d.text(dim, note)
	d.taskFields(t, folded)
	d.line()
}

// state says in words what the mark leaves open.
func (d *drawing) state(t *tree.Task) {
	text := ""
	switch {
	case t.Guessed && t.Outcome != "":
		text = string(t.Outcome) + " (guessed)"
	case t.Outcome == task.Running:
		text = "running"
		if age := between(t.Started, d.o.Now); age != "" {
			text += " for " + age
		}
	case t.Outcome == task.Abandoned:
		text = outcomeWord(t)
		if last := d.o.moment(t.LastSign); last != "" {
			text += ", last sign " + last
		}
	case t.Outcome == task.Cancelled, t.Outcome == task.Panicked:
		text = string(t.Outcome)
	}
	if text != "" {
		d.text(outcomeStyle(t.Outcome), "  "+text)
	}
	d.refused(t)
}

// refused says how many entries of the task its full queue did not take: they
// have no numbers and so leave no gap.
func (d *drawing) refused(t *tree.Task) {
	if t.End == nil {
		return
	}
	for _, l := range entry.Levels() {
		if n := t.End.Meta.Refused[l.String()]; n > 0 {
			d.text(violet, "  "+count(n)+" "+l.String()+" refused")
		}
	}
}

// items writes what a task holds. It recurses with the depth of tasks, which
// the length of a position bounds (task.MaxPosition).
func (d *drawing) items(t *tree.Task, above []string, level int) {
	rows := d.rows(t)
	d.said.enter(t)
	defer d.said.leave(t)
	for i, r := range rows {
		if d.err != nil {
			return
		}
		branch, below := "├─ ", "│  "
		if i == len(rows)-1 {
			branch, below = "└─ ", "   "
		}
		lead := strings.Join(above, "")
		next := above
		if level < maxIndent {
			next = append(above[:len(above):len(above)], below)
		} else {
			branch = fmt.Sprintf("╌%d╌ ", level+1)
		}
		d.row(r, lead+branch)
		if r.task != nil && !r.folded {
			d.items(r.task, next, level+1)
		}
	}
}

// row writes one line of a task's items.
func (d *drawing) row(r row, branch string) {
	switch {
	case r.task != nil:
		d.task(r.task, branch, r.note(), r.folded)
	case r.entry != nil:
		d.entry(r, branch)
	case r.hidden > 0:
		d.gutter(time.Time{}, "")
		d.text(dim, branch+"… "+r.hiddenText())
		d.line()
	default:
		d.missing(r.missing, branch)
	}
}

func (d *drawing) entry(r row, branch string) {
	e := r.entry
	d.gutter(e.Time, "")
	d.text(dim, branch)
	d.left(levelStyle(e.Level), levelWord(e), 6)
	if r.late {
		d.text(yellow, " late")
	}
	if r.conflict {
		d.text(violet, " conflict at "+e.Meta.Pos+" with process "+e.Meta.Proc)
	}
	d.message(e)
	if r.export && !r.claimed {
		d.text(dim, "  (not continued here)")
	}
	d.chosen(e, d.known)
	d.line()
}

func (d *drawing) missing(m tree.Missing, branch string) {
	d.gutter(time.Time{}, "")
	d.text(dim, branch)
	text := string(m.Pos)
	if m.First != m.Last {
		text += " … " + string(m.To()) + " (" + count(m.Count()) + ")"
	}
	d.text(violet, "· "+text+"  "+reasonText(m))
	d.line()
}

// cause ends a tree in which something failed with where that began. It is
// never cut: it is what one came for.
func (d *drawing) cause(t *tree.Task) {
	c := t.Cause()
	if c == nil {
		return
	}
	d.width = 0
	if c.Guessed {
		d.text(alarm, "cause (guessed): ")
		d.text(bold, c.Name)
	} else {
		d.text(alarm, "cause: ")
		d.text(bold, pathText(c.Path))
	}
	if c.Service != "" && !c.Guessed {
		d.text(none, " ("+c.Service+")")
	}
	if c.Error != "" {
		d.text(none, ": ")
		d.text(red, c.Error)
	}
	d.line()
	if c.Outcome == task.Panicked && c.End != nil {
		d.stack(c.End)
	}
}
