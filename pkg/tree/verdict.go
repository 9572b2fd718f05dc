package tree

import (
	"math"
	"strconv"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// Reason says why nothing stands at a number.
type Reason string

// The reasons. Missing, Died and Expired count as losses.
const (
	// Withheld: a rule dropped the entry, on purpose.
	Withheld Reason = "withheld"
	// Elsewhere: the stream that was read is not sent everything.
	Elsewhere Reason = "elsewhere"
	// Died: the entry went with its process.
	Died Reason = "died"
	// Expired: the limits of a stream removed the entry before it was read.
	Expired Reason = "expired"
	// Lost: absent without any explanation.
	Lost Reason = "missing"
	// NoEnd: the task has no end, and nothing shows whether its process lives;
	// given for the number after the greatest seen.
	NoEnd Reason = "no-end"
)

// Counts reports whether an entry absent for this reason counts as a loss.
func (r Reason) Counts() bool { return r == Lost || r == Died || r == Expired }

// Missing is a run of absent numbers of one task that share a reason.
type Missing struct {
	// Pos is the position of the first absent number.
	Pos task.Position
	// First and Last are the numbers of the run, both included.
	First, Last uint64
	Reason      Reason
	// Rule names the rule that withheld the entries; "" otherwise.
	Rule string
}

// Count returns how many numbers are in the run.
func (m Missing) Count() uint64 { return m.Last - m.First + 1 }

// To returns the position of the last absent number.
func (m Missing) To() task.Position { return m.at(m.Last) }

// at returns the position of number n of the run's task.
func (m Missing) at(n uint64) task.Position {
	if n == m.First {
		return m.Pos
	}
	digits := len(strconv.FormatUint(m.First, 10))
	buf := append(make([]byte, 0, len(m.Pos)+1), m.Pos[:len(m.Pos)-digits]...)
	return task.Position(strconv.AppendUint(buf, n, 10))
}

// Absent is a run of numbers nothing stands at, as a Judge sees it.
type Absent struct {
	Trace task.Trace
	// Task is the position of the task whose numbers First to Last are absent.
	Task        task.Position
	First, Last uint64
	// Proc is the task's process; After and Before are the sequence numbers of
	// its entries around the run, 0 where there is none.
	Proc          string
	After, Before uint64
}

// Verdict explains a part of an Absent run.
type Verdict struct {
	First, Last uint64
	Reason      Reason
	Rule        string
}

// Judge knows why entries are absent beyond what the entries themselves tell:
// the routers' ledger, or gap entries. Judge returns the parts of the run it
// can explain, in order and without overlap; the others keep their reason. A
// Judge is called by the goroutine that asks the forest.
type Judge interface {
	Judge(run Absent) []Verdict
}

// judge turns a run into what is known of it, reason being what the entries
// tell.
func (b *builder) judge(t *Task, run Absent, reason Reason) {
	from := run.First
	if j := b.f.cfg.Judge; j != nil && reason != NoEnd {
		for _, v := range j.Judge(run) {
			if v.First < from || v.Last > run.Last || v.First > v.Last {
				continue // a judge that errs must not hide anything
			}
			if v.First > from {
				t.miss(from, v.First-1, reason, "")
			}
			t.miss(v.First, v.Last, v.Reason, v.Rule)
			if v.Last == run.Last {
				return
			}
			from = v.Last + 1
		}
	}
	t.miss(from, run.Last, reason, "")
}

// miss adds a run to the task's missing numbers.
func (t *Task) miss(first, last uint64, reason Reason, rule string) {
	m := Missing{Pos: t.Pos.Child(first), First: first, Last: last, Reason: reason, Rule: rule}
	t.Missing = append(t.Missing, m)
	if reason.Counts() {
		t.missing = addUp(t.missing, m.Count())
	}
}

// addUp adds without wrapping around: a position may claim any number.
func addUp(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}
