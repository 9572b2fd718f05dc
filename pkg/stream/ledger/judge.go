package ledger

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// Index knows which entries of tasks rules dropped. The zero value knows nothing. It is for one goroutine.
type Index struct {
	tasks map[TaskKey][]Withheld
	names map[string]string // one copy of each rule's name
	n     int
}

// maxRuns bounds an index to about 64 MiB: what is beyond is not explained.
const maxRuns = 1 << 20

// Add takes in what a batch says. A batch may be added more than once.
func (x *Index) Add(b *Batch) {
	if x.tasks == nil {
		x.tasks, x.names = map[TaskKey][]Withheld{}, map[string]string{}
	}
	for i := range b.Records {
		for _, w := range b.Records[i].Withheld {
			x.add(w)
		}
	}
}

func (x *Index) add(w Withheld) {
	if name, ok := x.names[w.Rule]; ok {
		w.Rule = name
	} else {
		x.names[w.Rule] = w.Rule
	}
	all := x.tasks[w.Task]
	if n := len(all); n > 0 && all[n-1].Rule == w.Rule && all[n-1].Last+1 == w.First {
		all[n-1].Last = w.Last
		return
	}
	if x.n < maxRuns {
		x.n++
		x.tasks[w.Task] = append(all, w)
	}
}

// Judge implements [tree.Judge]: the parts of the run that a rule dropped.
func (x *Index) Judge(run tree.Absent) (verdicts []tree.Verdict) {
	all := slices.Clone(x.tasks[KeyOf(run.Trace, run.Task)])
	slices.SortFunc(all, func(a, b Withheld) int {
		switch {
		case a.First != b.First && a.First < b.First:
			return -1
		case a.First != b.First:
			return 1
		}
		return 0
	})
	next := run.First
	for _, w := range all {
		first, last := max(w.First, next), min(w.Last, run.Last)
		if first > last {
			continue
		}
		verdicts = append(verdicts, tree.Verdict{First: first, Last: last, Reason: tree.Withheld, Rule: w.Rule})
		if last == run.Last {
			break
		}
		next = last + 1
	}
	return verdicts
}

// Rule returns the rule that dropped an entry: the one with a number of the task at a position of a trace; "" for none.
func (x *Index) Rule(trace task.Trace, at task.Position, number uint64) string {
	for _, w := range x.tasks[KeyOf(trace, at)] {
		if w.First <= number && number <= w.Last {
			return w.Rule
		}
	}
	return ""
}

// Judge explains what is absent from trees by the ledger: what rules dropped. It reads the ledger when it is asked for the first
// time, so that trees without gaps cost nothing. It is for one goroutine.
type Judge struct {
	read  func(func(*Batch) error) error
	index *Index
	err   error
}

// settleWait is how much later than an entry's own time its record may have been written, about: clocks differ, spools wait.
const settleWait = 10 * time.Minute

// NewJudge makes a judge of what was said in a window. Since is when the oldest entry in question may have been said; records are
// younger than their entries, so Until is not used to leave any out.
func NewJudge(ctx context.Context, js jetstream.JetStream, ns string, w Window) *Judge {
	if !w.Since.IsZero() {
		w.Since = w.Since.Add(-settleWait)
	}
	w.Until = time.Time{}
	return &Judge{read: func(f func(*Batch) error) error { return Read(ctx, js, ns, w, f) }}
}

// Judge implements [tree.Judge].
func (j *Judge) Judge(run tree.Absent) []tree.Verdict {
	if j.index == nil {
		j.index = &Index{}
		if err := j.read(func(b *Batch) error { j.index.Add(b); return nil }); !errors.Is(err, jetstream.ErrStreamNotFound) {
			j.err = err
		}
	}
	return j.index.Judge(run)
}

// Err returns why the ledger could not be read, nil while all is well or nobody asked. The verdicts given then are true, but
// others may be missing. That there is no ledger is no error: then it explains nothing.
func (j *Judge) Err() error { return j.err }
