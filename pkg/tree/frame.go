package tree

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// sort orders the node's entries by number and drops the repeats.
func (n *node) sort() {
	if n.tidy {
		return
	}
	slices.SortFunc(n.recs, compareRecs)
	n.recs = slices.CompactFunc(n.recs, sameEntry)
	n.tidy = true
}

// compareRecs orders the same entries in the same way whatever the order they
// came in, down to the bytes of two copies of one entry.
func compareRecs(a, b rec) int {
	if c := cmp.Compare(a.n, b.n); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.e.Meta.Proc, b.e.Meta.Proc),
		cmp.Compare(a.e.Meta.Seq, b.e.Meta.Seq),
		bytes.Compare(a.e.Raw, b.e.Raw),
	)
}

// sameEntry compares neighbours. Copies of one entry may differ, where rules
// changed one; what has no identity (Eliot's) is the same only byte by byte.
func sameEntry(a, b rec) bool {
	return a.n == b.n && a.e.Meta.Proc == b.e.Meta.Proc && a.e.Meta.Seq == b.e.Meta.Seq &&
		(a.e.Meta.Proc != "" || bytes.Equal(a.e.Raw, b.e.Raw))
}

// frame finds the entries that bracket the task and what they say of it.
func (t *Task) frame() {
	if t.Hollow() {
		return
	}
	t.node.sort()
	t.eliot = isEliot(t.node.recs[0].e)
	for _, r := range t.node.recs {
		switch {
		case r.e.Meta.Event == entry.Start && t.Start == nil:
			t.Start = r.e
		case r.e.Meta.Event == entry.End && t.betterEnd(r.e):
			t.End = r.e
		}
	}
	t.describe()
	t.time()
}

// betterEnd reports whether e is the first end, or the first of the process
// that wrote the start.
func (t *Task) betterEnd(e *entry.Entry) bool {
	if t.End == nil {
		return true
	}
	return t.Start != nil && t.End.Meta.Proc != t.Start.Meta.Proc && e.Meta.Proc == t.Start.Meta.Proc
}

// describe takes path, name, service and process from the first entry that has
// them, the start and the end before all others.
func (t *Task) describe() {
	t.from(t.Start)
	t.from(t.End)
	for _, r := range t.node.recs {
		if t.Path != "" && t.Service != "" && t.Proc != "" {
			break
		}
		t.from(r.e)
	}
	if t.Path != "" {
		t.Name = task.BaseName(t.Path)
		return
	}
	for _, e := range []*entry.Entry{t.Start, t.End} {
		if e != nil && t.Name == "" {
			t.Name = e.Message
		}
	}
}

func (t *Task) from(e *entry.Entry) {
	if e == nil {
		return
	}
	t.Path = cmp.Or(t.Path, e.Meta.Path)
	t.Service = cmp.Or(t.Service, e.Meta.Svc)
	t.Proc = cmp.Or(t.Proc, e.Meta.Proc)
}

// time takes start, end and duration from the entries that bracket the task.
func (t *Task) time() {
	if t.Start != nil {
		t.Started = t.Start.Time
	}
	if t.End == nil {
		return
	}
	t.Ended, t.Error = t.End.Time, t.End.Error
	if t.Started.IsZero() && t.End.Meta.Started != "" {
		t.Started, _ = time.Parse(time.RFC3339Nano, t.End.Meta.Started)
	}
	switch {
	case t.End.Meta.HasElapsed:
		t.Elapsed = t.End.Meta.ElapsedMS
	case !t.Started.IsZero() && !t.Ended.IsZero():
		t.Elapsed = float64(t.Ended.Sub(t.Started)) / float64(time.Millisecond)
	}
}

// gather puts entries and sub-tasks in order and counts the entries.
func (t *Task) gather() {
	t.sortAttempts()
	recs, kids := t.recs(), t.children
	t.Items = make([]Item, 0, len(recs)+len(kids))
	for len(recs) > 0 || len(kids) > 0 {
		n := nextNumber(recs, kids)
		i, k := 0, 0
		for i < len(recs) && recs[i].n == n {
			i++
		}
		for k < len(kids) && kids[k].step.N == n {
			k++
		}
		t.addGroup(n, recs[:i], kids[:k])
		recs, kids = recs[i:], kids[k:]
	}
}

func nextNumber(recs []rec, kids []*Task) uint64 {
	switch {
	case len(recs) == 0:
		return kids[0].step.N
	case len(kids) == 0:
		return recs[0].n
	}
	return min(recs[0].n, kids[0].step.N)
}

// addGroup adds all that stands at one number: as a rule one entry, or one
// task, or an export with the tasks that claim it.
func (t *Task) addGroup(n uint64, recs []rec, kids []*Task) {
	late := t.late(n)
	plain := slices.ContainsFunc(kids, func(c *Task) bool { return c.step.Attempt == "" })
	taken := false // by an entry that hands nothing over
	for _, r := range recs {
		other := r.e.Meta.Event != entry.Export
		taken = taken || other
		item := Item{N: n, Entry: r.e, Late: late || r.e.Meta.Late, Conflict: len(recs) > 1 || plain && other}
		t.Items = append(t.Items, item)
		t.count(item)
	}
	for _, c := range kids {
		t.Items = append(t.Items, Item{N: n, Task: c, Late: late, Conflict: taken && c.step.Attempt == ""})
	}
}

func (t *Task) count(item Item) {
	t.Entries++
	if l := item.Entry.Level; l >= entry.Error && l <= entry.Panic {
		t.Errors++
	}
	if item.Conflict {
		t.Conflicts++
	}
}

func (t *Task) recs() []rec {
	if t.node == nil {
		return nil
	}
	return t.node.recs
}

// sortAttempts puts the attempts at one number in the order they began in: of
// them no position tells. Those at different numbers are in order already.
func (t *Task) sortAttempts() {
	slices.SortStableFunc(t.children, func(a, b *Task) int {
		if c := cmp.Compare(a.step.N, b.step.N); c != 0 {
			return c
		}
		return a.Started.Compare(b.Started)
	})
}

// end returns the number of the end entry, if there is one.
func (t *Task) end() (uint64, bool) {
	if t.End == nil {
		return 0, false
	}
	// Position and n say the same; where they do not, the position is what
	// other entries stand beside.
	_, last, _ := task.Position(t.End.Meta.Pos).Split()
	return last.N, true
}

func (t *Task) late(n uint64) bool {
	end, ended := t.end()
	return ended && n > end
}
