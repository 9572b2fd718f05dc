package view

import (
	"fmt"
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// row is one line below a task: an entry, a sub-task, absent numbers, or the
// count of what is not shown.
type row struct {
	n        uint64
	entry    *entry.Entry
	task     *tree.Task
	missing  tree.Missing
	late     bool
	conflict bool
	folded   bool // the task's own items are not shown
	export   bool // the entry hands the task over
	claimed  bool // and a task continues it
	attempt  int  // which attempt at its number the task is, from 1, of tries
	tries    int
	hidden   int // how much this row stands for, 0 where it is one itself
	entries  int // of that, entries
	tasks    int // tasks
	gaps     int // and runs of absent numbers
}

// Of a stretch of rows the first and last are shown; of what matters more. No
// task is shown with more than mostRows lines of its own, unless all are asked
// for.
const (
	keepPlain = 4
	keepHot   = 20
	mostRows  = 200
)

// rows returns what is shown below a task, in order.
func (d *drawing) rows(t *tree.Task) []row {
	rows := merge(t)
	markExports(rows)
	if !d.o.All {
		rows = withoutClaimed(rows)
	}
	rows = d.fold(rows)
	if d.whole {
		return rows
	}
	plain := keepPlain
	if d.o.Errors {
		plain = 0
	}
	rows = squeeze(rows, row.hot, plain, keepHot)
	// Stretches may be short and many: then only failed tasks are told from the
	// rest, and at last nothing is.
	if len(rows) > mostRows {
		rows = squeeze(rows, row.troubled, keepPlain, keepHot)
	}
	if len(rows) > mostRows {
		rows = squeeze(rows, func(row) bool { return true }, 0, mostRows/2-1)
	}
	return rows
}

// markExports tells the hand-over entries that a task continued from those that
// none did.
func markExports(rows []row) {
	claimed := map[uint64]bool{}
	for _, r := range rows {
		if r.task != nil {
			claimed[r.n] = true
		}
	}
	for i, r := range rows {
		if r.entry != nil && r.entry.Meta.Event == entry.Export {
			rows[i].export, rows[i].claimed = true, claimed[r.n]
		}
	}
}

// withoutClaimed leaves out the hand-over entries that a task continued: the
// task stands at the same number and says more.
func withoutClaimed(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return r.claimed && !r.conflict && !r.late })
}

// merge puts entries, sub-tasks and absent numbers in one order and leaves out
// the entries that the task's own line shows.
func merge(t *tree.Task) []row {
	rows := make([]row, 0, len(t.Items)+len(t.Missing))
	missing := t.Missing
	for i, item := range t.Items {
		for len(missing) > 0 && missing[0].First < item.N {
			rows = append(rows, row{n: missing[0].First, missing: missing[0]})
			missing = missing[1:]
		}
		if item.Entry != nil && (item.Entry == t.Start || item.Entry == t.End) {
			continue
		}
		r := row{n: item.N, entry: item.Entry, task: item.Task, late: item.Late, conflict: item.Conflict}
		if item.Task != nil {
			r.attempt, r.tries = attempts(t.Items, i)
		}
		rows = append(rows, r)
	}
	for _, m := range missing {
		rows = append(rows, row{n: m.First, missing: m})
	}
	return rows
}

// attempts says which of how many attempts at one number item i is. It looks
// around no further than makes a difference to a reader.
func attempts(items []tree.Item, i int) (attempt, tries int) {
	const most = 1000
	same := func(k int) bool {
		return k >= 0 && k < len(items) && items[k].N == items[i].N && items[k].Task != nil
	}
	for k := i; same(k) && i-k < most; k-- {
		attempt++
	}
	tries = attempt
	for k := i + 1; same(k) && k-i < most; k++ {
		tries++
	}
	return attempt, tries
}

// fold marks the tasks that are shown on one line.
func (d *drawing) fold(rows []row) []row {
	for i := range rows {
		t := rows[i].task
		if t == nil {
			continue
		}
		tooDeep := d.o.Depth > 0 && t.Depth() >= d.o.Depth
		const few = 4 // start, end and two entries: no longer than the count
		rows[i].folded = tooDeep || !d.whole && !hotTask(t) && (d.o.Errors || t.Entries > few)
	}
	return rows
}

// hot reports whether a row is shown before others are.
func (r row) hot() bool {
	switch {
	case r.task != nil:
		return hotTask(r.task)
	case r.entry != nil:
		return r.conflict || serious(r.entry.Level)
	}
	return true
}

// troubled reports whether a row is a task that failed, or one below it did.
func (r row) troubled() bool { return r.task != nil && r.task.Troubles > 0 }

// hotTask reports whether the task, or one below it, failed, was abandoned,
// runs, lacks entries or has them in conflict.
func hotTask(t *tree.Task) bool {
	return t.Troubles > 0 || t.Open > 0 || t.MissingCount() > 0 || t.Conflicts > 0 || t.Outcome == task.Panicked
}

// squeeze replaces the middle of each long stretch of rows of one kind by one
// row that counts them; plain and hot are how many of each kind stay at either
// end.
func squeeze(rows []row, isHot func(row) bool, plain, hot int) []row {
	kept := make([]row, 0, len(rows))
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && isHot(rows[n]) == isHot(rows[0]) {
			n++
		}
		keep := plain
		if isHot(rows[0]) {
			keep = hot
		}
		if keep > 0 && n <= 2*keep+1 {
			kept = append(kept, rows[:n]...)
		} else {
			kept = append(kept, rows[:keep]...)
			kept = append(kept, hide(rows[keep:n-keep]))
			kept = append(kept, rows[n-keep:n]...)
		}
		rows = rows[n:]
	}
	return kept
}

// hide counts rows, some of which may stand for others already.
func hide(rows []row) row {
	h := row{n: rows[0].n}
	for _, r := range rows {
		switch {
		case r.task != nil:
			h.tasks += r.task.Tasks
			h.entries += r.task.Entries
		case r.entry != nil:
			h.entries++
		case r.hidden > 0:
			h.tasks += r.tasks
			h.entries += r.entries
			h.gaps += r.gaps
		default:
			h.gaps++
		}
	}
	h.hidden = h.tasks + h.entries + h.gaps
	return h
}

// hiddenText counts what a row stands for.
func (r row) hiddenText() string {
	var parts []string
	if r.entries > 0 || r.tasks > 0 {
		text := many(uint64(r.entries), "entry", "entries")
		if r.tasks > 0 {
			text += " in " + many(uint64(r.tasks), "task", "tasks")
		}
		parts = append(parts, text)
	}
	if r.gaps > 0 {
		parts = append(parts, many(uint64(r.gaps), "gap", "gaps"))
	}
	return strings.Join(parts, ", ")
}

// note is what a task's line says beside the task itself.
func (r row) note() string {
	s := ""
	if r.tries > 1 {
		s = fmt.Sprintf("  attempt %d of %d", r.attempt, r.tries)
	}
	if r.late {
		s += "  late"
	}
	if r.conflict {
		s += "  conflict at " + string(r.task.Pos)
	}
	if r.folded {
		s += "  … " + totals(r.task)
	}
	return s
}
