package tree

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/google/go-cmp/cmp"
)

// TestEveryDeletionIsFound writes random trees, deletes random entries, adds
// others twice, shuffles, and wants exactly the deleted numbers as far as
// anything that is left shows that they were there.
func TestEveryDeletionIsFound(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 7))
		var lines []line
		procs := []*process{newProcess("shop", &lines), newProcess("bank", &lines), newProcess("mail", &lines)}
		for _, p := range procs {
			p.sign(entry.Birth)
		}
		randomTree(r, procs, trace1, 400)
		kept := deleteSome(r, lines, []float64{0, 0.02, 0.3, 0.8}[seed%4])
		want := wantedGaps(kept, lines)

		twice := append(slices.Clone(kept), kept[:len(kept)/3]...)
		r.Shuffle(len(twice), func(i, k int) { twice[i], twice[k] = twice[k], twice[i] })
		f := forest(t, Config{Now: later}, rawLines(twice)...)
		roots := f.Roots()
		got := map[task.Position]bool{}
		var entries int
		for _, root := range roots {
			entries += root.Entries
			root.Walk(func(at *Task) bool {
				for _, m := range at.Missing {
					for n := m.First; n <= m.Last && m.Reason != NoEnd; n++ {
						got[m.at(n)] = true
					}
				}
				return true
			})
		}
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Fatalf("seed %d: absent numbers (-want +got):\n%s", seed, diff)
		}
		if want := len(kept) - signs(kept); entries != want {
			t.Errorf("seed %d: %d entries, want %d", seed, entries, want)
		}
	}
}

func signs(lines []line) (n int) {
	for _, l := range lines {
		if l.pos == "" {
			n++
		}
	}
	return n
}

// deleteSome leaves out a share of the entries, but never the signs of life.
func deleteSome(r *rand.Rand, lines []line, share float64) []line {
	var kept []line
	for _, l := range lines {
		if l.pos == "" || r.Float64() >= share {
			kept = append(kept, l)
		}
	}
	return kept
}

// wantedGaps works out, from nothing but the kept and the written positions,
// what must be found: for each task that something kept stands in, the numbers
// up to its kept end, or else up to the greatest seen, that hold neither a kept
// entry nor a sub-task.
func wantedGaps(kept, all []line) map[task.Position]bool {
	type seen struct {
		entries, plain, claims map[uint64]bool
		greatest, end          uint64
	}
	tasks := map[task.Position]*seen{}
	at := func(pos task.Position) *seen {
		if tasks[pos] == nil {
			tasks[pos] = &seen{entries: map[uint64]bool{}, plain: map[uint64]bool{}, claims: map[uint64]bool{}}
		}
		return tasks[pos]
	}
	for _, l := range kept {
		if l.pos == "" {
			continue
		}
		pos, last, _ := l.pos.Split()
		s := at(pos)
		s.entries[last.N] = true
		s.greatest = max(s.greatest, last.N)
		if strings.Contains(string(l.raw), `"event":"end"`) {
			s.end = last.N
		}
		for pos != "" {
			parent, step, _ := pos.Split()
			s := at(parent)
			if step.Attempt == "" {
				s.plain[step.N] = true
			} else {
				s.claims[step.N] = true
			}
			s.greatest = max(s.greatest, step.N)
			pos = parent
		}
	}
	gaps := map[task.Position]bool{}
	for pos, s := range tasks {
		limit := s.greatest
		if s.end > 0 {
			limit = s.end
		}
		for n := uint64(1); n <= limit; n++ {
			if !s.entries[n] && !s.plain[n] {
				gaps[pos.Child(n)] = true
			}
		}
	}
	return gaps
}

func sorted(set map[task.Position]bool) []task.Position {
	return slices.SortedFunc(maps.Keys(set), task.ComparePositions)
}

// written is a forest of what write says in three processes that live.
func written(t *testing.T, cfg Config, write func(shop, bank, mail *process)) *Forest {
	t.Helper()
	var lines []line
	shop, bank, mail := newProcess("shop", &lines), newProcess("bank", &lines), newProcess("mail", &lines)
	for _, p := range []*process{shop, bank, mail} {
		p.sign(entry.Birth)
	}
	write(shop, bank, mail)
	if cfg.Now == nil {
		cfg.Now = later
	}
	want := outline(forest(t, cfg, rawLines(lines)...))
	slices.Reverse(lines)
	f := forest(t, cfg, rawLines(lines)...)
	if diff := cmp.Diff(want, outline(f)); diff != "" {
		t.Errorf("order of arrival matters (-forward +backward):\n%s", diff)
	}
	return f
}

func TestForest(t *testing.T) {
	f := func(what, want string, write func(shop, bank, mail *process)) {
		t.Helper()
		if diff := cmp.Diff(want, outline(written(t, Config{}, write))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	f("a running task lacks nothing", `0193a5e1: 2 entries, 0 errors, 0 missing
  [] order running
    2 info "said"
`, func(shop, _, _ *process) {
		shop.start(trace1, "order", "").info("said")
	})
	f("a task whose process died is abandoned, and its end died too", `0193a5e1: 2 entries, 0 errors, 2 missing
  [] order abandoned
    3 info "said"
    -2 died
    -4 died
`, func(shop, _, _ *process) {
		o := shop.start(trace1, "order", "")
		o.next()
		o.info("said")
		shop.sign(entry.Death)
	})
	f("attempts are siblings in the order they began", `0193a5e1: 8 entries, 1 errors, 0 missing
  [] order succeeded
    2 debug "handed over"
    3 debug "handed over"
    [2~zzzzz] order/mail failed
    [2~aaaaa] order/mail succeeded
cause: order/mail: mail went wrong
`, func(shop, bank, mail *process) {
		o := shop.start(trace1, "order", "")
		pos := o.export()
		o.export()
		first := mail.start(trace1, "order/mail", pos.Claim("zzzzz"))
		bank.seq += 5 // begins later
		second := bank.start(trace1, "order/mail", pos.Claim("aaaaa"))
		second.end(task.Succeeded)
		first.end(task.Failed)
		o.end(task.Succeeded)
	})
	f("what comes after the end is late, and no gap before it is missing", `0193a5e1: 3 entries, 0 errors, 0 missing
  [] order succeeded
    5 info "said" late
`, func(shop, _, _ *process) {
		o := shop.start(trace1, "order", "")
		o.end(task.Succeeded)
		o.n += 2
		o.info("said")
	})
	f("one position, two identities: both are kept", `0193a5e1: 7 entries, 0 errors, 1 missing
  [] order succeeded
    2 info "of the other" conflict
    2 info "of the one" conflict
    3 info "said" conflict
    [3] order/step running
    [4] order running
      -4.1 missing
`, func(shop, bank, _ *process) {
		o := shop.start(trace1, "order", "")
		o.info("of the one")
		o.info("said")
		shop.start(trace1, "order/step", "3")
		shop.say(trace1, "order", "5", "info", "order", entry.Meta{Event: entry.End, Outcome: task.Succeeded, N: 5})
		bank.say(trace1, "order", "2", "info", "of the other", entry.Meta{})
		shop.say(trace1, "order", "4.2", "info", "order", entry.Meta{Event: entry.Start})
	})
	f("foreign heads are outermost tasks of their own", `0193a5e1: 2 entries, 0 errors, 0 missing
  [] order succeeded
0193a5e1: 3 entries, 0 errors, 1 missing
  [x00f067aa0ba902b7~abcde] serve running
    -x00f067aa0ba902b7~abcde.2 missing
    [x00f067aa0ba902b7~abcde.3] serve/step succeeded
`, func(shop, bank, _ *process) {
		shop.start(trace1, "order", "").end(task.Succeeded)
		r := bank.start(trace1, "serve", "x00f067aa0ba902b7~abcde")
		r.next()
		r.child("step").end(task.Succeeded)
	})
	f("a tree can be read from ends alone", `0193a5e1: 2 entries, 1 errors, 2 missing
  [] order succeeded
    -1 missing
    [2] order/step failed
      -2.1 missing
cause: order/step: step went wrong
`, func(shop, _, _ *process) {
		o := &running{p: shop, trace: trace1, path: "order", n: 1}
		s := &running{p: shop, trace: trace1, path: "order/step", pos: o.next(), n: 1}
		s.end(task.Failed)
		o.end(task.Succeeded)
	})
	f("the claim of an export that is lost is kept, and the export is missing", `0193a5e1: 2 entries, 0 errors, 3 missing
  [] order ?
    -1…3 missing
    -4 no-end
    [3~abcde] order/mail succeeded
`, func(_, _, mail *process) {
		mail.start(trace1, "order/mail", "3~abcde").end(task.Succeeded)
	})
}

// TestLies adds entries with positions that cannot be true beside an honest
// tree, which must not change.
func TestLies(t *testing.T) {
	honest := func(shop *process) {
		o := shop.start(trace1, "order", "")
		o.info("said")
		o.end(task.Succeeded)
	}
	var lines []line
	honest(newProcess("shop", &lines))
	const other = "0193a5e1c0007a1b8c2d3e4f5a6b7c8e"
	liar := newProcess("liar", &lines)
	for _, pos := range []string{
		"9223372036854775808", "18446744073709551615", "1.18446744073709551615.7", "7~abcde.1", "x00f067aa0ba902b7~abcde.4",
		strings.Repeat("1.", 1000) + "1", strings.Repeat("2~abcde.", 300) + "9",
	} {
		liar.say(other, "lie", task.Position(pos), "info", "lie", entry.Meta{})
		liar.say(other, "lie", task.Position(pos), "error", "lie", entry.Meta{Event: entry.End, N: 1 << 63, Outcome: "running"})
	}
	for _, pos := range []string{"", "0", "01", "1..2", "a", "1~abcde", "x00f067aa0ba902b7~abcde", "18446744073709551616", strings.Repeat("1.", 10_000) + "1"} {
		liar.say(other, "lie", task.Position(pos), "info", "lie", entry.Meta{})
	}
	f := forest(t, Config{}, rawLines(lines)...)
	honestRoots, err := f.Find(trace1)
	if err != nil || len(honestRoots) != 1 || honestRoots[0].Entries != 3 || honestRoots[0].MissingCount() != 0 {
		t.Errorf("the honest tree suffered: %v", err)
	}
	if got := len(f.Loose()); got != 9 {
		t.Errorf("%d loose entries, want 9", got)
	}
	lies, err := f.Find(other)
	if err != nil {
		t.Fatal(err)
	}
	tasks, entries, skipped := 0, 0, 0
	for _, root := range lies {
		entries += root.Entries
		root.Walk(func(at *Task) bool {
			tasks++
			skipped += at.Skipped
			return true
		})
		var out strings.Builder
		if err := WriteTree(&out, root); err != nil || out.Len() > 64<<20 {
			t.Errorf("tree of lies: %d bytes, %v", out.Len(), err)
		}
		if err := WriteGaps(&out, root); err != nil {
			t.Error(err)
		}
	}
	if entries != 14 || tasks > 100 || skipped < 1000 {
		t.Errorf("%d entries in %d tasks, %d levels skipped", entries, tasks, skipped)
	}
}

func TestLoose(t *testing.T) {
	var lines []line
	p := newProcess("shop", &lines)
	p.sign(entry.Birth)
	p.sign(entry.Beat)
	p.say("", "", "", "info", "outside", entry.Meta{})
	lines = append(lines, lines...)
	lines = append(lines, line{raw: []byte(`{"message":"plain"}`)}, line{raw: []byte(`{"dlog":7}`)})
	f := forest(t, Config{}, rawLines(lines)...)
	var got []string
	for _, e := range f.Loose() {
		got = append(got, e.Message)
	}
	if want := []string{"outside", "plain", ""}; !slices.Equal(got, want) {
		t.Errorf("loose %q, want %q", got, want)
	}
	if f.Birth(p.id.String()) == nil {
		t.Error("the birth entry is not kept")
	}
	if f := forest(t, Config{DropLoose: true}, rawLines(lines)...); f.Loose() != nil {
		t.Error("loose entries kept against DropLoose")
	}
}

func TestFind(t *testing.T) {
	var lines []line
	p := newProcess("shop", &lines)
	p.start("0193a5e1c0007a1b8c2d3e4f5a6b7c8d", "a", "")
	p.start("0193a5e1c0007a1b8c2d3e4f5a6b7c8e", "b", "")
	p.start("0293a5e1c0007a1b8c2d3e4f5a6b7c8e", "c", "")
	f := forest(t, Config{}, rawLines(lines)...)
	ok := func(prefix, name string) {
		t.Helper()
		roots, err := f.Find(prefix)
		if err != nil || len(roots) != 1 || roots[0].Name != name {
			t.Errorf("find %q: %v, %v; want %s", prefix, roots, err, name)
		}
	}
	bad := func(prefix, want string) {
		t.Helper()
		if _, err := f.Find(prefix); err == nil || err.Error() != want {
			t.Errorf("find %q: %v, want %s", prefix, err, want)
		}
	}
	ok("0193a5e1c0007a1b8c2d3e4f5a6b7c8d", "a")
	ok("0193A5E1-C000-7A1B-8C2D-3E4F5A6B7C8E", "b")
	ok("02", "c")
	bad("03", `find trace "03": no such trace`)
	bad("", `find trace "": no such trace`)
	bad("0193a", `find trace "0193a": 2 traces begin so: 0193a5e1c0007a1b8c2d3e4f5a6b7c8d, 0193a5e1c0007a1b8c2d3e4f5a6b7c8e`)
}

// TestCopies adds one entry in two forms, as rules make them, in both orders.
func TestCopies(t *testing.T) {
	var lines []line
	p := newProcess("shop", &lines)
	o := p.start(trace1, "order", "")
	o.info("card 4111")
	o.end(task.Succeeded)
	redacted := line{"2", []byte(strings.Replace(string(lines[1].raw), "4111", "****", 1))}
	for i := range 2 {
		both := append(slices.Clone(lines), redacted)
		if i == 1 {
			slices.Reverse(both)
		}
		root := forest(t, Config{}, rawLines(both)...).Roots()[0]
		if got := root.Items[1].Entry.Message; root.Entries != 3 || root.Conflicts != 0 || got != "card ****" {
			t.Errorf("%d entries, %d conflicts, %q", root.Entries, root.Conflicts, got)
		}
	}
}

func TestDeepAndWide(t *testing.T) {
	var lines []line
	p := newProcess("shop", &lines)
	at := p.start(trace1, "order", "")
	open := []*running{at}
	for i := range 1000 {
		at = at.child(fmt.Sprint("step", i%10))
		open = append(open, at)
	}
	slices.Reverse(open)
	for _, r := range open {
		r.end(task.Failed)
	}
	rand.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
	root := forest(t, Config{}, rawLines(lines)...).Roots()[0]
	if root.Tasks != 1001 || root.MissingCount() != 0 || root.Cause().Depth() != 1000 {
		t.Errorf("%d tasks, %d missing", root.Tasks, root.MissingCount())
	}
}

func TestNewest(t *testing.T) {
	at := func(trace, started string) *Task {
		when, _ := time.Parse(time.RFC3339, started)
		return &Task{Trace: trace, Started: when}
	}
	made, _ := task.ParseTrace("019ab2b1e8007a1b8c2d3e4f5a6b7c8d")
	when, _ := made.Time()
	roots := []*Task{
		at("00000000000000000000000000000001", ""),
		at("019ab2b1e8007a1b8c2d3e4f5a6b7c8d", ""),
		at("00000000000000000000000000000002", when.Add(time.Hour).Format(time.RFC3339)),
		at("00000000000000000000000000000003", when.Add(-time.Hour).Format(time.RFC3339)),
	}
	want := []*Task{roots[2], roots[1], roots[3], roots[0]}
	Newest(roots)
	if !slices.Equal(roots, want) {
		t.Errorf("order %v", roots)
	}
}
