package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
	"github.com/dlog-fabric/dlog/test/gen"
)

// TestRoundTrip: whatever the batches, what comes out is what went in, over days and over restarts of the writer.
func TestRoundTrip(t *testing.T) {
	sizes := map[string]func(*rand.Rand) int{
		"ones":  func(*rand.Rand) int { return 1 },
		"few":   func(rng *rand.Rand) int { return rng.IntN(12) },
		"mixed": func(rng *rand.Rand) int { return 1 << rng.IntN(14) },
	}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			n := 10_000
			if name == "ones" {
				n = 800
			}
			entries := mixed(1, gen.Config{Entries: n, Rate: float64(n) / 200_000, Start: time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC)})
			dir, rng := t.TempDir(), rand.New(rand.NewPCG(2, 3))
			for rest := entries; len(rest) > 0; {
				k := min(len(rest), 1+len(entries)/3)
				w := open(t, dir, store.Config{})
				writeAll(t, w, rest[:k], func() int { return size(rng) })
				closed(t, w)
				rest = rest[k:]
			}
			r := reader(t, dir)
			compare(t, "all", read(t, r, store.Query{}), wanted(entries))
			files, err := r.Files(t.Context())
			if err != nil || len(files) < 2 {
				t.Errorf("files: %+v, %v", files, err)
			}
			blocks := int64(0)
			for _, f := range files {
				blocks += f.Blocks
			}
			if most := int64(len(entries)/250 + 25*len(files)); blocks > most {
				t.Errorf("%d entries stand in %d blocks", len(entries), blocks)
			}
			verified(t, r)
		})
	}
}

func verified(t *testing.T, r *store.Reader) {
	t.Helper()
	checked, err := r.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checked {
		for _, p := range c.Problems {
			t.Errorf("verify: %v", p)
		}
	}
}

// TestQueries: random queries on a store and on a list of the same entries give the same.
func TestQueries(t *testing.T) {
	entries := mixed(5, gen.Config{Entries: 8000, Rate: 0.3, Start: time.Date(2026, 11, 21, 20, 0, 0, 0, time.UTC), Long: 1})
	entries = slices.Insert(entries, len(entries)/2, quiet(entries[len(entries)/2], 2500)...)
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(2, 3))
	w := open(t, dir, store.Config{})
	writeAll(t, w, entries, func() int { return 1 + rng.IntN(3000) })
	closed(t, w)
	r := reader(t, dir)
	wheres := []string{
		"service=stock", "service=a,gateway", "service!=stock", "level>=warn", "level=error", "level=none", "level!=info", "path=place-order/**", "path=serve-request",
		"message~deadlock", "error=*", "order=A-17", "n=1000", "n>500", "dlog.outcome=failed", "dlog.event=end", "took_ms>40", "order=", "grün=Ärger", "message=exponent",
		"dlog.path=place-order",
	}
	pick := func() string { return entries[rng.IntN(len(entries))].Subject }
	found := 0
	for i := range 200 {
		var q store.Query
		if rng.IntN(2) == 0 {
			q.Since = entries[rng.IntN(len(entries))].Time
		}
		if rng.IntN(2) == 0 {
			q.Until = entries[rng.IntN(len(entries))].Time
		}
		q.Frames, q.Newest = rng.IntN(5) == 0, rng.IntN(4) == 0
		var args []string
		for range rng.IntN(3) {
			args = append(args, wheres[rng.IntN(len(wheres))])
		}
		if rng.IntN(6) == 0 {
			args = append(args, "user="+value(entries[rng.IntN(len(entries))].Line, "user"))
		}
		if rng.IntN(6) == 0 {
			args = append(args, "id="+value(entries[rng.IntN(len(entries))].Line, "id"))
		}
		where, err := cond.ParseWhere(args)
		if err != nil {
			t.Fatal(err)
		}
		if len(args) > 0 {
			q.Where = where
		}
		if rng.IntN(3) == 0 {
			q.Words = []string{[]string{"Deadlock", "caf\u00e9", "node", "1000", "declined issuer", "nowhere", value(entries[rng.IntN(len(entries))].Line, "sku"), pick()}[rng.IntN(8)]}
		}
		want := naive(t, entries, q)
		found += len(want)
		compare(t, fmt.Sprintf("query %d %+v where %q words %q", i, q, args, q.Words), read(t, r, q), want)
		if t.Failed() {
			return
		}
	}
	if found < 1000 {
		t.Errorf("the queries found %d entries in all: they prove nothing", found)
	}
}

// quiet is a time in which no task begins or ends.
func quiet(like store.Entry, n int) []store.Entry {
	var out []store.Entry
	for i := range n {
		out = append(out, store.Entry{Line: fmt.Appendf(nil, `{"level":"info","n":%d,"message":"step"}`, i), Subject: "dlog.in.a.info.p", Seq: like.Seq, Time: like.Time})
	}
	return out
}

func value(line []byte, key string) string {
	v, ok := entry.Lookup(line, key)
	if !ok {
		return "*"
	}
	return string(v.Text(nil))
}

// TestStop: what the caller's function returns ends the reading.
func TestStop(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, shop(gen.Config{Entries: 5000}), 1000)
	r := reader(t, dir)
	n := 0
	if err := r.Read(t.Context(), store.Query{}, func(store.Item) error { n++; return store.ErrStop }); err != nil || n != 1 {
		t.Errorf("stopped after %d entries: %v", n, err)
	}
	mine := errors.New("mine")
	if err := r.Read(t.Context(), store.Query{}, func(store.Item) error { return mine }); !errors.Is(err, mine) {
		t.Errorf("read: %v", err)
	}
}

func traceOf(line []byte) (task.Trace, bool) {
	e, err := entry.Parse(line)
	if err == nil && !e.HasMeta {
		tree.ReadEliot(&e)
	}
	if err != nil || e.Meta.Trace == "" {
		return task.Trace{}, false
	}
	id, err := task.ParseTrace(e.Meta.Trace)
	return id, err == nil
}

// TestTraces: the entries of a trace, and the summaries of tasks, are those that all entries tell.
func TestTraces(t *testing.T) {
	entries := mixed(9, gen.Config{Entries: 10_000, Rate: 0.5, Start: time.Date(2026, 11, 21, 22, 0, 0, 0, time.UTC), Failures: 0.3, Long: 1, Huge: 3000})
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(2, 3))
	w := open(t, dir, store.Config{})
	writeAll(t, w, entries, func() int { return 1 + rng.IntN(3000) })
	closed(t, w)
	r := reader(t, dir)
	byTrace := map[task.Trace][]store.Entry{}
	forest := tree.New()
	for _, e := range entries {
		if id, ok := traceOf(e.Line); ok {
			byTrace[id] = append(byTrace[id], e)
			parsed, _ := entry.Parse(e.Line)
			if !parsed.HasMeta {
				tree.ReadEliot(&parsed)
			}
			if s, err := subject.Parse(e.Subject); err == nil && s.Service() != "" {
				parsed.Meta.Svc = s.Service()
			}
			forest.Add(parsed)
		}
	}
	for id, want := range byTrace {
		var have []got
		found, err := r.Trace(t.Context(), id.String(), func(it store.Item) error {
			if it.Subject.Level == subject.TaskLevel && it.Subject.Names == "" && it.Seq == 0 {
				return nil // a sign of life
			}
			return keep(&have)(it)
		})
		if err != nil || found != id {
			t.Fatalf("trace %v: found %v, %v", id, found, err)
		}
		compare(t, "trace "+id.String(), have, wanted(want))
	}
	tasks, err := r.Tasks(t.Context(), store.TaskQuery{Counts: true})
	if err != nil {
		t.Fatal(err)
	}
	roots := map[string]*tree.Task{}
	for _, root := range forest.Roots() {
		if root.Start != nil || root.End != nil {
			roots[root.Trace+string(root.Pos)] = root
		}
	}
	if len(tasks) != len(roots) {
		t.Errorf("%d tasks, want %d", len(tasks), len(roots))
	}
	for _, s := range tasks {
		sameTask(t, s, roots[s.Trace.String()+string(s.Pos)])
	}
	if !slices.IsSortedFunc(tasks, func(a, b store.TaskSummary) int { return b.Started.Compare(a.Started) }) {
		t.Error("tasks are not in order")
	}
}

func sameTask(t *testing.T, s store.TaskSummary, want *tree.Task) {
	t.Helper()
	if want == nil {
		t.Errorf("task %v is not among those of the entries", s.Trace)
		return
	}
	cause := ""
	if c := want.Cause(); c != nil {
		cause = c.Error
	}
	outcome := want.Outcome
	if outcome == task.Abandoned {
		outcome = task.Running
	}
	have := fmt.Sprint(s.Service, s.Path, s.Outcome, s.Started, s.Error, s.Cause, s.Entries, s.Errors)
	wants := fmt.Sprint(want.Service, want.Path, outcome, want.Started.Truncate(time.Microsecond), want.Error, cause, want.Entries, want.Errors)
	if have != wants || s.Elapsed >= 0 && s.Elapsed != want.Elapsed {
		t.Errorf("task %v:\n%s\n%s\nelapsed %v, want %v", s.Trace, have, wants, s.Elapsed, want.Elapsed)
	}
}

// TestTaskQuery: windows, outcomes, limit; a task that began yesterday and ended today is one.
func TestTaskQuery(t *testing.T) {
	line := func(trace, event, rest string) []byte {
		return []byte(`{"level":"info","message":"m","dlog":{"svc":"a","trace":"` + trace + `","path":"p","proc":"00000000000000aa","event":"` + event + `"` + rest + `}}`)
	}
	day1, day2 := time.Date(2026, 11, 21, 23, 59, 59, 0, time.UTC), time.Date(2026, 11, 22, 0, 0, 1, 0, time.UTC)
	a, b, c := "0193e1a2000070008000000000000001", "0193e1a2000070008000000000000002", "0193e1a2000070008000000000000003"
	dir := t.TempDir()
	w := open(t, dir, store.Config{})
	add := func(at time.Time, lines ...[]byte) {
		var es []store.Entry
		for _, l := range lines {
			es = append(es, store.Entry{Line: l, Subject: "dlog.in.a.task.p", Seq: 1, Time: at})
		}
		if err := commit(w, es); err != nil {
			t.Fatal(err)
		}
	}
	add(day1, line(a, "start", `,"pos":"1"`), line(b, "start", `,"pos":"1"`), line(c, "start", `,"pos":"1"`))
	add(day2, line(a, "end", `,"pos":"2","outcome":"failed","elapsed_ms":2000.5`), line(b, "end", `,"pos":"2","outcome":"succeeded"`))
	closed(t, w)
	r := reader(t, dir)
	f := func(q store.TaskQuery, want ...string) {
		t.Helper()
		tasks, err := r.Tasks(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		var have []string
		for _, s := range tasks {
			have = append(have, s.Trace.String()+" "+string(s.Outcome))
		}
		slices.Sort(have)
		if !slices.Equal(have, want) {
			t.Errorf("%+v: %q, want %q", q, have, want)
		}
	}
	f(store.TaskQuery{}, a+" failed", b+" succeeded", c+" running")
	f(store.TaskQuery{Outcomes: []task.Outcome{task.Failed}}, a+" failed")
	f(store.TaskQuery{Outcomes: []task.Outcome{task.Running}}, c+" running")
	f(store.TaskQuery{Outcomes: []task.Outcome{task.Abandoned}}, c+" running")
	f(store.TaskQuery{Until: day1}, a+" failed", b+" succeeded", c+" running")
	f(store.TaskQuery{Since: day2}, a+" failed", b+" succeeded")
	f(store.TaskQuery{Since: day2.Add(time.Hour)})
}

// TestPrefix: a trace is found by any unambiguous beginning of its id.
func TestPrefix(t *testing.T) {
	dir := t.TempDir()
	entries := shop(gen.Config{Entries: 3000})
	write(t, dir, entries, 1000)
	r := reader(t, dir)
	id, _ := traceOf(entries[1000].Line)
	f := func(prefix string, want error) {
		t.Helper()
		found, err := r.FindTrace(t.Context(), prefix)
		if want == nil && (err != nil || found != id) || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, %v", prefix, found, err)
		}
	}
	f(id.String(), nil)
	f(id.String()[:31], nil)
	f(strings.ToUpper(id.String()[:8])+"-"+id.String()[8:30], nil)
	f("ffff", tree.ErrNotFound)
	_, err := r.FindTrace(t.Context(), id.String()[:4])
	many, ok := errors.AsType[*tree.AmbiguousError](err)
	if !ok || many.Count < 20 || len(many.Traces) != 10 || !slices.IsSorted(many.Traces) {
		t.Errorf("an ambiguous prefix: %v", err)
	}
	for _, bad := range []string{"", "xyz", strings.Repeat("0", 33)} {
		if _, err := r.FindTrace(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "hex digits") {
			t.Errorf("prefix %q: %v", bad, err)
		}
	}
}

// TestCounts: counters, usual durations and signs of life are what the entries tell.
func TestCounts(t *testing.T) {
	entries := mixed(4, gen.Config{Entries: 8000, Rate: 3})
	dir, rng := t.TempDir(), rand.New(rand.NewPCG(2, 3))
	w := open(t, dir, store.Config{})
	writeAll(t, w, entries, func() int { return 1 + rng.IntN(40) })
	closed(t, w)
	r := reader(t, dir)
	want := map[string]int64{}
	took := map[string][]float64{}
	last := map[string]time.Time{}
	for _, e := range entries {
		parsed, err := entry.Parse(e.Line)
		level := entry.None
		if err == nil {
			if !parsed.HasMeta {
				tree.ReadEliot(&parsed)
			}
			level = parsed.Level
		}
		s, _ := subject.Parse(e.Subject)
		m := parsed.Meta
		want[fmt.Sprint(e.Time.Truncate(time.Minute).Unix(), s.Service(), level, m.Event, m.Outcome)]++
		if m.Event == entry.End && m.HasElapsed {
			took[m.Svc+" "+m.Path] = append(took[m.Svc+" "+m.Path], m.ElapsedMS)
		}
		if p, err := task.ParseProcess(m.Proc); err == nil {
			last[p.String()] = e.Time
		}
	}
	err := r.Counts(t.Context(), time.Time{}, time.Time{}, func(c store.Count) error {
		want[fmt.Sprint(c.Minute.Unix(), c.Service, c.Level, c.Event, c.Outcome)] -= c.Entries
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, n := range want {
		if n != 0 {
			t.Errorf("%s is wrong by %d", k, n)
		}
	}
	for k, all := range took {
		svc, path, _ := strings.Cut(k, " ")
		u, err := r.Usual(t.Context(), svc, path)
		slices.Sort(all)
		median, have := all[(len(all)-1)/2], float64(u.Median)/1e6
		if err != nil || u.Tasks != int64(len(all)) || have < median*0.94 || have > median*1.06 {
			t.Errorf("%s: %d tasks, usually %v, want %d and %.3f ms: %v", k, u.Tasks, u.Median, len(all), median, err)
		}
	}
	var procs []task.Process
	for p := range last {
		id, _ := task.ParseProcess(p)
		procs = append(procs, id)
	}
	delete(last, "00000000000000ff") // of an odd line: it never said that it lives
	births := 0
	err = r.Signs(t.Context(), procs, func(it store.Item) error {
		e, err := entry.Parse(it.Line)
		if err != nil || it.Subject.Level != subject.TaskLevel {
			t.Errorf("a sign of life: %s %s, %v", it.Text, it.Line, err)
		}
		if e.Meta.Event == entry.Birth {
			births++
		}
		if it.Time.Equal(last[e.Meta.Proc].Truncate(time.Millisecond)) {
			delete(last, e.Meta.Proc)
		}
		return nil
	})
	if err != nil || births < len(last) || len(last) > 0 {
		t.Errorf("%d births of %d processes; without a last sign: %v; %v", births, len(procs), last, err)
	}
}

// TestProcess: the neighbours of an entry in its process.
func TestProcess(t *testing.T) {
	entries := shop(gen.Config{Entries: 6000})
	dir := t.TempDir()
	write(t, dir, entries, 700)
	r := reader(t, dir)
	said := func(i int) entry.Meta {
		e, err := entry.Parse(entries[i].Line)
		if err != nil {
			t.Fatal(err)
		}
		return e.Meta
	}
	m := said(3000)
	var want []store.Entry
	for i, e := range entries {
		if x := said(i); x.Proc == m.Proc && x.Seq >= m.Seq-5 && x.Seq <= m.Seq+5 {
			want = append(want, e)
		}
	}
	proc, err := task.ParseProcess(m.Proc)
	if err != nil {
		t.Fatal(err)
	}
	var have []got
	if err := r.Process(t.Context(), proc, m.Seq-5, m.Seq+5, keep(&have)); err != nil {
		t.Fatal(err)
	}
	compare(t, "neighbours", have, wanted(want))
}
