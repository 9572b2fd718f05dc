package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/test/gen"
)

// shop makes entries, each in a message of its own, which is the dearest way for the store.
func shop(cfg gen.Config) []store.Entry {
	g := gen.New(cfg)
	var out []store.Entry
	var seq uint64
	for e, ok := g.Next(); ok; e, ok = g.Next() {
		seq++
		out = append(out, store.Entry{Line: append([]byte(nil), e.Line...), Subject: e.Subject, Seq: seq, Time: e.Time})
	}
	return out
}

// odd makes entries as nobody should write them, but somebody will.
func odd(rng *rand.Rand, seq uint64, at time.Time) store.Entry {
	lines := []string{
		`{"message":"no level","order":"A-17"}`,
		`{"level":"info","n":1e3,"message":"exponent"}`,
		`{"level":"info","n":1000,"message":"plain"}`,
		`{"level":"warn","message":"caf\u00e9 \"quoted\" deadlock\nnext","grün":"Ärger"}`,
		`{"level":"error","task_uuid":"` + fmt.Sprintf("0193e1a2-0000-7000-8000-%012x", seq) + `","task_level":[1],"action_type":"eliot:thing","action_status":"started","timestamp":1790000000.5}`,
		`{"level":"info","message":"x","dlog":{"svc":"a","trace":"0193e1a2\u0030000700080000000000000bb","path":"p","pos":"2","proc":"00000000000000ff","seq":9}}`,
		`{"level":"info","message":"mentions 0193e1a200007000800000000000000bb only"}`,
		`{"level":"info","message":"lies","dlog":{"trace":12,"pos":"x"}}`,
		`{"level":"error","dlog":"no object"}`,
		`no JSON at all`,
		`{}`,
	}
	subjects := []string{"dlog.in.a.info.p", "dlog.in.a.task.p", "dlog.to.team.b.none.-", "dlog.dead.json.c", "somebody.elses", "dlog.in.a.warn.=.x"}
	return store.Entry{Line: []byte(lines[rng.IntN(len(lines))]), Subject: subjects[rng.IntN(len(subjects))], Seq: seq, Time: at}
}

// mixed is a shop with odd entries in between, several of which share a message.
func mixed(seed uint64, cfg gen.Config) []store.Entry {
	rng := rand.New(rand.NewPCG(seed, 7))
	cfg.Seed = seed
	var out []store.Entry
	var seq uint64
	for _, e := range shop(cfg) {
		if rng.IntN(3) > 0 {
			seq++
		}
		e.Seq = max(seq, 1)
		out = append(out, e)
		if rng.IntN(20) == 0 {
			out = append(out, odd(rng, e.Seq, e.Time))
		}
	}
	return out
}

func open(tb testing.TB, dir string, cfg store.Config) *store.Writer {
	tb.Helper()
	if cfg.MinFree == 0 {
		cfg.MinFree = -1
	}
	w, err := store.OpenWriter(dir, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return w
}

func closed(tb testing.TB, c interface{ Close() error }) {
	tb.Helper()
	if err := c.Close(); err != nil {
		tb.Fatal(err)
	}
}

func commit(w *store.Writer, entries []store.Entry) error {
	b := store.Batch{Entries: entries}
	if len(entries) > 0 {
		b.Position, b.Time = fmt.Appendf(nil, `{"seq":%d}`, entries[len(entries)-1].Seq), entries[0].Time
	}
	return w.Commit(ctx(), b)
}

// write stores entries in batches of a size that next tells.
func writeAll(tb testing.TB, w *store.Writer, entries []store.Entry, next func() int) {
	tb.Helper()
	for len(entries) > 0 {
		n := min(max(1, next()), len(entries))
		for i := 1; i < n; i++ {
			if store.Day(entries[i].Time) != store.Day(entries[0].Time) {
				n = i
			}
		}
		if err := commit(w, entries[:n]); err != nil {
			tb.Fatal(err)
		}
		entries = entries[n:]
	}
}

func write(tb testing.TB, dir string, entries []store.Entry, batch int) {
	tb.Helper()
	w := open(tb, dir, store.Config{})
	writeAll(tb, w, entries, func() int { return batch })
	closed(tb, w)
}

// reader opens a store that is closed, and looked at for problems, when the test ends.
func reader(tb testing.TB, dir string) *store.Reader {
	tb.Helper()
	r, err := store.Open(dir)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if p := r.Problems(); len(p) > 0 {
			tb.Errorf("problems: %v", p)
		}
		closed(tb, r)
	})
	return r
}

// got is an item that is kept.
type got struct {
	Line, Subject string
	Seq           uint64
	Time          time.Time
}

func keep(into *[]got) func(store.Item) error {
	return func(it store.Item) error {
		*into = append(*into, got{string(it.Line), it.Text, it.Seq, it.Time})
		return nil
	}
}

func wanted(entries []store.Entry) []got {
	var out []got
	for _, e := range entries {
		out = append(out, got{string(e.Line), e.Subject, e.Seq, e.Time.Truncate(time.Millisecond).UTC()})
	}
	return out
}

func read(tb testing.TB, r *store.Reader, q store.Query) []got {
	tb.Helper()
	var out []got
	if err := r.Read(ctx(), q, keep(&out)); err != nil {
		tb.Fatal(err)
	}
	return out
}

// compare tells two lists of items apart without printing all of them.
func compare(tb testing.TB, what string, have, want []got) {
	tb.Helper()
	if len(have) != len(want) {
		tb.Errorf("%s: %d entries, want %d", what, len(have), len(want))
	}
	for i := range min(len(have), len(want)) {
		if have[i] != want[i] {
			tb.Errorf("%s: entry %d is\n%+v, want\n%+v", what, i, have[i], want[i])
			return
		}
	}
}

// ctx is for the plain calls; tests about contexts make their own.
func ctx() context.Context { return context.Background() }
