package tree

import (
	"cmp"
	"slices"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// By is what holds entries together that name no task: a value that they have in
// the same field, the id of a request for instance.
type By struct {
	// Field is the name of the field, dotted where it lies in objects.
	Field string
	// Value is its value as text.
	Value string
}

// NoService is the name of the task of entries whose service is not known.
const NoService = "(no service)"

// Gather makes a tree of entries outside of any task: below an outermost task
// that stands for the value there is one for each service (e.Meta.Svc), with its
// entries in the order of their times. Entries without a time stay behind the
// one before them. What the entries do not tell is guessed, and Task.Guessed
// says so: outcomes come from the highest level, starts and ends from the first
// and the last entry.
//
// Trees that belong there too, because an entry in them has the value, are
// roots; they become sub-tasks, with all they know, and must not be used
// otherwise afterwards. The order of the sub-tasks is that of their beginnings.
func Gather(by By, entries []*entry.Entry, roots []*Task) *Task {
	top := &Task{Elapsed: -1, Guessed: true, By: &by, Name: by.Field + "=" + by.Value}
	for _, t := range byService(entries) {
		top.adopt(t)
	}
	for _, t := range roots {
		top.adopt(t)
	}
	slices.SortStableFunc(top.children, func(a, b *Task) int { return compareTimes(begun(a), begun(b)) })
	for i, t := range top.children {
		top.Items = append(top.Items, Item{N: uint64(i) + 1, Task: t})
	}
	top.summarize()
	return top
}

// byService makes a task of the entries of each service.
func byService(entries []*entry.Entry) []*Task {
	var tasks []*Task
	of := map[string]*Task{}
	seen := map[identity]bool{}
	for _, e := range entries {
		id := identity{e.Meta.Proc, e.Meta.Seq}
		if id.proc != "" && seen[id] {
			continue
		}
		seen[id] = true
		t := of[e.Meta.Svc]
		if t == nil {
			t = &Task{Elapsed: -1, Guessed: true, Service: e.Meta.Svc, Name: cmp.Or(e.Meta.Svc, NoService), Tasks: 1}
			of[e.Meta.Svc] = t
			tasks = append(tasks, t)
		}
		t.Items = append(t.Items, Item{Entry: e})
	}
	for _, t := range tasks {
		t.guess()
	}
	return tasks
}

// guess puts the entries in order and concludes from them how the task went.
func (t *Task) guess() {
	sortByTime(t.Items)
	highest := entry.None
	for i, item := range t.Items {
		e := item.Entry
		t.Items[i].N = uint64(i) + 1
		t.count(t.Items[i])
		t.spans(e.Time, e.Time)
		if e.Level != entry.None && (highest == entry.None || e.Level > highest) {
			highest = e.Level
			t.Error, t.erred = cmp.Or(e.Error, e.Message), e.Time
		}
	}
	switch {
	case highest == entry.None:
		t.Error = ""
	case highest >= entry.Panic:
		t.Outcome, t.Troubles = task.Panicked, 1
	case highest >= entry.Error:
		t.Outcome, t.Troubles = task.Failed, 1
	default:
		t.Outcome, t.Error = task.Succeeded, ""
	}
}

// sortByTime orders entries by time, which loggers often give in whole seconds:
// of one time and process by their sequence, else as they came. One without a
// time has that of the one before it.
func sortByTime(items []Item) {
	type dated struct {
		at time.Time
		Item
	}
	all := make([]dated, len(items))
	var last time.Time
	for i, item := range items {
		if !item.Entry.Time.IsZero() {
			last = item.Entry.Time
		}
		all[i] = dated{last, item}
	}
	slices.SortStableFunc(all, func(a, b dated) int {
		if c := a.at.Compare(b.at); c != 0 || a.Entry.Meta.Proc != b.Entry.Meta.Proc {
			return c
		}
		return cmp.Compare(a.Entry.Meta.Seq, b.Entry.Meta.Seq)
	})
	for i := range all {
		items[i] = all[i].Item
	}
}

// spans widens the task's time to hold what lies between from and to.
func (t *Task) spans(from, to time.Time) {
	if !from.IsZero() && (t.Started.IsZero() || from.Before(t.Started)) {
		t.Started = from
	}
	if to.After(t.Ended) {
		t.Ended = to
	}
	if !t.Started.IsZero() && !t.Ended.Before(t.Started) {
		t.Elapsed = float64(t.Ended.Sub(t.Started)) / float64(time.Millisecond)
	}
}

// adopt makes c, an outermost task, a sub-task of t.
func (t *Task) adopt(c *Task) {
	c.parent = t
	c.Walk(func(at *Task) bool {
		at.depth++
		return true
	})
	t.children = append(t.children, c)
}

// summarize concludes from the sub-tasks how the gathered whole went.
func (t *Task) summarize() {
	t.Tasks = 1
	for _, c := range t.children {
		t.addCounts(c)
		t.spans(c.Started, c.Ended)
		if worse(c.Outcome) > worse(t.Outcome) {
			t.Outcome = c.Outcome
		}
	}
	if t.Outcome.Bad() {
		t.Outcome = task.Failed
		t.Troubles++
	}
}

// worse ranks outcomes: that of the whole is the worst of its parts.
func worse(o task.Outcome) int {
	switch {
	case o.Bad():
		return 4
	case o == task.Running:
		return 3
	case o == task.Cancelled:
		return 2
	case o == task.Succeeded:
		return 1
	}
	return 0
}

// compareTimes puts the zero time, which stands for unknown, last.
func compareTimes(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}
