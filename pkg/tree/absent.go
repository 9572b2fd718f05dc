package tree

import (
	"math"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// verdicts finds the absent numbers of a task and says why they are absent.
func (b *builder) verdicts(t *Task) {
	reason := Lost
	gone := t.Outcome == task.Abandoned
	switch {
	case gone:
		reason = Died
	case b.f.cfg.Part:
		reason = Elsewhere
	}
	runs, greatest := b.absent(t)
	for _, run := range runs {
		b.judge(t, run, reason)
	}
	if t.End != nil || greatest == math.MaxUint64 {
		return
	}
	next := Absent{Trace: b.tr.id, Task: t.Pos, First: greatest + 1, Last: greatest + 1, Proc: t.Proc, After: t.lastSeq()}
	switch {
	case gone:
		b.judge(t, next, Died)
	case b.showsLife(t):
	case b.f.cfg.Part:
		b.judge(t, next, Elsewhere)
	default:
		b.judge(t, next, NoEnd)
	}
}

// showsLife reports whether the task's process is known to live: nothing need
// be absent above the greatest number then.
func (b *builder) showsLife(t *Task) bool {
	l := b.f.procs[t.Proc]
	return l != nil && l.signs
}

// lastSeq returns the sequence number of the last entry of the task's process.
func (t *Task) lastSeq() uint64 {
	recs := t.recs()
	for i := len(recs) - 1; i >= 0; i-- {
		if recs[i].e.Meta.Proc == t.Proc {
			return recs[i].e.Meta.Seq
		}
	}
	return 0
}

// absent returns the runs of numbers that nothing stands at, up to the end, or
// without one up to the greatest number seen, which it returns too.
func (b *builder) absent(t *Task) (runs []Absent, greatest uint64) {
	limit, ended := t.end()
	if !ended {
		limit = math.MaxUint64
	}
	claims := t.foreign()
	var last, seq uint64 // the greatest number something stands at, and the last sequence number
	open := 0            // runs from here on wait for the sequence number after them
	for _, item := range t.Items {
		if item.N > limit {
			break
		}
		greatest = item.N
		if item.Task != nil && item.Task.step.Attempt != "" && !claims {
			continue // shows that the number was used, but is not the entry there
		}
		if item.N > last+1 {
			runs = append(runs, Absent{Trace: b.tr.id, Task: t.Pos, First: last + 1, Last: item.N - 1, Proc: t.Proc, After: seq})
		}
		last = item.N
		if item.Entry != nil && item.Entry.Meta.Proc == t.Proc {
			seq = item.Entry.Meta.Seq
			for ; open < len(runs); open++ {
				runs[open].Before = seq
			}
		}
	}
	if greatest > last { // only claims stand above
		runs = append(runs, Absent{Trace: b.tr.id, Task: t.Pos, First: last + 1, Last: greatest, Proc: t.Proc, After: seq})
	}
	return runs, greatest
}

// foreign reports whether the task was written by something that writes no
// entry where it hands over (Eliot): its claimed numbers are not absent. A
// hollow task is taken for one when a task below it stands at a number without
// a claim and was written so.
func (t *Task) foreign() bool {
	if !t.Hollow() {
		return t.eliot
	}
	for _, c := range t.children {
		if c.step.Attempt == "" && c.eliot {
			return true
		}
	}
	return false
}
