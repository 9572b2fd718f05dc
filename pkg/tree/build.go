package tree

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// MaxHollow is how many levels in a row a tree shows of which no entry is
// present. Where a position claims more of them, its task is shown below the
// nearest one that is known, and [Task.Skipped] says how many were left out.
const MaxHollow = 64

// builder makes the tasks of one trace.
type builder struct {
	f     *Forest
	tr    *trace
	text  string // of the trace id
	now   time.Time
	roots []*Task
	open  []*Task // from the outermost task down to the last one placed
	order []*Task // all, each before those below it
}

// Roots returns the outermost tasks of all traces, ordered by trace id (which
// is the order of time for dlog's own) and position. It takes time in
// proportion to all entries; who follows one trace calls Find.
func (f *Forest) Roots() []*Task {
	ids := slices.SortedFunc(maps.Keys(f.traces), compareTraces)
	now := f.cfg.Now()
	var roots []*Task
	for _, id := range ids {
		roots = append(roots, f.build(f.traces[id], now)...)
	}
	return roots
}

func compareTraces(a, b task.Trace) int { return slices.Compare(a[:], b[:]) }

// build makes the trees of one trace. It never recurses: the depth of a tree is
// whatever positions claim.
func (f *Forest) build(tr *trace, now time.Time) []*Task {
	b := &builder{f: f, tr: tr, text: tr.id.String(), now: now}
	// In this order a task comes before all below it, and these come together.
	for _, pos := range slices.SortedFunc(maps.Keys(tr.nodes), task.ComparePositions) {
		b.place(tr.nodes[pos])
	}
	for _, t := range b.order {
		t.frame()
	}
	for _, t := range slices.Backward(b.order) {
		b.finish(t)
	}
	for _, t := range b.order {
		t.inherit()
	}
	return b.roots
}

// place puts the task of n below the nearest one that is there, with hollow
// tasks for the levels between.
func (b *builder) place(n *node) {
	for len(b.open) > 0 && !below(n.pos, b.open[len(b.open)-1].Pos) {
		b.open = b.open[:len(b.open)-1]
	}
	if len(b.open) == 0 {
		if head := outermost(n.pos); head != n.pos {
			b.push(head, nil, 0)
		} else {
			b.push(head, n, 0)
			return
		}
	}
	parent := b.open[len(b.open)-1].Pos
	from := len(parent)
	if parent != "" {
		from++ // the dot after the parent
	}
	between := strings.Count(string(n.pos[from:]), ".")
	if between > MaxHollow {
		b.push(n.pos, n, between)
		return
	}
	for ; between > 0; between-- {
		from += strings.IndexByte(string(n.pos[from:]), '.')
		b.push(n.pos[:from], nil, 0)
		from++
	}
	b.push(n.pos, n, 0)
}

// outermost returns the position of the outermost task above pos.
func outermost(pos task.Position) task.Position {
	if !strings.HasPrefix(string(pos), "x") {
		return ""
	}
	head, _, _ := strings.Cut(string(pos), ".")
	return task.Position(head)
}

// below is Position.Within, but for foreign heads, which are nobody's children.
func below(pos, above task.Position) bool {
	return pos.Within(above) && (above != "" || outermost(pos) == "")
}

// push adds a task below the last open one and opens it. n is nil for a hollow
// task.
func (b *builder) push(pos task.Position, n *node, skipped int) {
	t := &Task{Trace: b.text, Pos: pos, Elapsed: -1, Skipped: skipped, node: n}
	if len(b.open) == 0 {
		b.roots = append(b.roots, t)
		_, t.step, _ = pos.Split()
	} else {
		t.parent = b.open[len(b.open)-1]
		t.parent.children = append(t.parent.children, t)
		t.depth = t.parent.depth + 1 + skipped
		t.step = stepBelow(pos, t.parent.Pos)
	}
	b.open = append(b.open, t)
	b.order = append(b.order, t)
}

// stepBelow returns the step of pos that follows those of parent.
func stepBelow(pos, parent task.Position) task.Step {
	rest := string(pos[len(parent):])
	rest = strings.TrimPrefix(rest, ".")
	first, _, _ := strings.Cut(rest, ".")
	_, step, _ := task.Position(first).Split()
	return step
}

// finish completes a task whose sub-tasks are complete.
func (b *builder) finish(t *Task) {
	b.settle(t)
	t.gather()
	b.verdicts(t)
	t.Tasks = 1
	if t.Troubled() {
		t.Troubles = 1
	}
	if t.Outcome == task.Running {
		t.Open = 1
	}
	for _, c := range t.children {
		t.addCounts(c)
		t.guessPath(c)
	}
}

// addCounts adds what a sub-task counts to what t does.
func (t *Task) addCounts(c *Task) {
	t.Tasks += c.Tasks
	t.Troubles += c.Troubles
	t.Open += c.Open
	t.Entries += c.Entries
	t.Errors += c.Errors
	t.Conflicts += c.Conflicts
	t.missing = addUp(t.missing, c.missing)
}

// settle decides the outcome by the end entry or by the life of the process.
func (b *builder) settle(t *Task) {
	l := b.f.procs[t.Proc]
	if l != nil {
		t.LastSign = l.last
	}
	switch {
	case t.End != nil:
		if t.End.Meta.Outcome.Ended() {
			t.Outcome = t.End.Meta.Outcome
		}
	case t.Hollow():
	case l != nil && l.dead:
		t.Outcome = task.Abandoned
	case l != nil && l.silent(b.now):
		t.Outcome, t.Silent = task.Abandoned, true
	default:
		t.Outcome = task.Running
	}
}

// guessPath gives a hollow task the path that the one below it implies.
func (t *Task) guessPath(child *Task) {
	if t.Path != "" || !t.Hollow() || child.Skipped > 0 {
		return
	}
	if i := strings.LastIndexByte(child.Path, '/'); i > 0 {
		t.Path = child.Path[:i]
		t.Name = task.BaseName(t.Path)
	}
}

// inherit gives a task that knows its name only (Eliot's) a path, and one that
// continues such a task, whose path begins anew, the whole of its own.
func (t *Task) inherit() {
	p := t.parent
	switch {
	case p == nil:
	case p.eliot:
		t.above = p.Path
	default:
		t.above = p.above
	}
	switch {
	case t.eliot && t.Name != "" && p != nil && p.Path != "":
		t.Path = task.JoinPath(p.Path, t.Name)
	case t.Path != "" && t.above != "" && !t.eliot:
		t.Path = t.above + "/" + t.Path
	case t.Path != "" || t.Name == "":
	case p == nil:
		t.Path = task.JoinPath("", t.Name)
	default:
		t.Path = task.JoinPath(p.Path, t.Name)
	}
}
