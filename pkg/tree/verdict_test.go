package tree

import (
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/google/go-cmp/cmp"
)

func TestSilence(t *testing.T) {
	f := func(want task.Outcome, silent bool, after time.Duration, write func(p *process)) {
		t.Helper()
		var lines []line
		p := newProcess("shop", &lines)
		write(p)
		p.start(trace1, "order", "")
		now := func() time.Time { return day.Add(after) }
		got := forest(t, Config{Now: now}, rawLines(lines)...).Roots()[0]
		if got.Outcome != want || got.Silent != silent {
			t.Errorf("outcome %s, silent %v; want %s, %v", got.Outcome, got.Silent, want, silent)
		}
	}
	birth := func(p *process) { p.sign(entry.Birth) }
	never := func(p *process) {}
	f(task.Running, false, Silence, birth)
	f(task.Abandoned, true, Silence+time.Second, birth)
	f(task.Running, false, 100*Silence, never)
	f(task.Abandoned, false, 0, func(p *process) { p.sign(entry.Death) })
}

// TestReceived dates signs of life by the reader's clock where it is known: a
// process whose clock is an hour slow is not silent.
func TestReceived(t *testing.T) {
	var lines []line
	p := newProcess("shop", &lines)
	p.sign(entry.Birth)
	p.start(trace1, "order", "")
	now := day.AddDate(0, 0, 1)
	f := With(Config{Now: func() time.Time { return now }})
	for _, raw := range rawLines(lines) {
		e, _ := entry.Parse(raw)
		f.AddAt(e, now.Add(-Beat))
	}
	if got := f.Roots()[0]; got.Outcome != task.Running {
		t.Errorf("outcome %s, want running", got.Outcome)
	}
}

func TestPart(t *testing.T) {
	f := written(t, Config{Part: true}, func(shop, _, mail *process) {
		o := shop.start(trace1, "order", "")
		o.next()
		o.info("said")
		mail.start(trace1, "order/a/b", "4.2").end(task.Succeeded)
	})
	want := `0193a5e1: 4 entries, 0 errors, 0 missing
  [] order running
    3 info "said"
    -2 elsewhere
    [4] order/a ?
      -4.1 elsewhere
      -4.3 elsewhere
      [4.2] order/a/b succeeded
`
	if diff := cmp.Diff(want, outline(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// ledger is a Judge as the router's ledger could be one.
type ledger map[uint64]string

func (l ledger) Judge(run Absent) []Verdict {
	var vs []Verdict
	for n := run.First; n <= run.Last; n++ {
		if rule, ok := l[n]; ok {
			vs = append(vs, Verdict{n, n, Withheld, rule})
		}
	}
	return vs
}

func TestJudge(t *testing.T) {
	f := written(t, Config{Judge: ledger{3: "noise", 6: "noise"}}, func(shop, _, _ *process) {
		o := shop.start(trace1, "order", "")
		o.n = 6
		o.end(task.Succeeded)
	})
	want := `0193a5e1: 2 entries, 0 errors, 3 missing
  [] order succeeded
    -2 missing
    -3 withheld by noise
    -4…5 missing
    -6 withheld by noise
`
	if diff := cmp.Diff(want, outline(f)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestJudgeSeesSequence wants the bounds that a ledger of (process, sequence)
// ranges needs.
func TestJudgeSeesSequence(t *testing.T) {
	var runs []Absent
	judge := judgeFunc(func(run Absent) []Verdict {
		runs = append(runs, run)
		return []Verdict{{0, 99, Withheld, "errs"}, {9, 1, Withheld, "errs"}}
	})
	var lines []line
	shop := newProcess("shop", &lines)
	o := shop.start(trace1, "order", "")
	shop.seq, o.n = 10, 3
	o.info("said")
	shop.seq, o.n = 20, 8
	o.end(task.Succeeded)
	root := forest(t, Config{Judge: judge}, rawLines(lines)...).Roots()[0]
	if len(runs) != 2 || runs[0].After != 1 || runs[0].Before != 11 || runs[1].After != 11 || runs[1].Before != 21 {
		t.Errorf("runs %+v", runs)
	}
	if root.MissingCount() != 6 {
		t.Errorf("a judge that errs hid something: %d missing, want 6", root.MissingCount())
	}
}

type judgeFunc func(Absent) []Verdict

func (f judgeFunc) Judge(run Absent) []Verdict { return f(run) }
