// Program storebench measures the embedded store: how fast it takes entries, how large it is, how long questions take. scripts/bench store
// runs it; docs/store.md quotes it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/test/gen"
)

type config struct {
	n, batch, traces int
	rate             float64
	dir, command     string
	rows             bool
}

func main() {
	ctx := context.Background()
	var err error
	if len(os.Args) == 4 && os.Args[1] == "tree" {
		err = printTree(ctx, os.Args[2], os.Args[3])
	} else {
		err = run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "storebench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var c config
	flag.IntVar(&c.n, "n", 1_000_000, "store `N` entries")
	flag.IntVar(&c.batch, "batch", 1000, "commit, and sync, each `N` entries")
	flag.IntVar(&c.traces, "traces", 1000, "ask for `N` random traces")
	flag.Float64Var(&c.rate, "rate", 0, "entries in a second of the shop's time (default 115, ten million a day)")
	flag.StringVar(&c.dir, "dir", "", "keep the store in `DIR` and use one that is there (default: a temporary one)")
	flag.StringVar(&c.command, "command", "", "measure this `COMMAND` with the trace appended instead of this program's own tree")
	flag.BoolVar(&c.rows, "rows", true, "also measure the references: a row per entry in SQLite, and a scan of the NDJSON")
	flag.Parse()
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "storebench-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		c.dir = dir
	}
	return errors.Join(c.ingest(ctx), c.questions(ctx), c.commands(ctx), c.references(ctx))
}

func (c *config) store() string { return filepath.Join(c.dir, "store") }

func (c *config) generator() *gen.Generator {
	return gen.New(gen.Config{Entries: c.n, Rate: c.rate, Long: 5, Huge: min(50_000, c.n/10)})
}

// chunk is how many entries are made before they are stored, so that making them is not in the times.
const chunk = 50_000

// each calls fn with the entries, chunk by chunk.
func (c *config) each(fn func([]store.Entry) error) error {
	g := c.generator()
	var arena []byte
	var entries []store.Entry
	var seq uint64
	flush := func() error {
		err := fn(entries)
		arena, entries = arena[:0], entries[:0]
		return err
	}
	for e, ok := g.Next(); ok; e, ok = g.Next() {
		seq++
		if len(arena)+len(e.Line) > cap(arena) && len(entries) > 0 {
			if err := flush(); err != nil {
				return err
			}
		}
		if cap(arena) == 0 {
			arena = make([]byte, 0, chunk*400)
		}
		at := len(arena)
		arena = append(arena, e.Line...)
		entries = append(entries, store.Entry{Line: arena[at:len(arena):len(arena)], Subject: e.Subject, Seq: seq, Time: e.Time})
	}
	return flush()
}

func (c *config) ingest(ctx context.Context) error {
	if _, err := os.Stat(c.store()); err == nil {
		fmt.Println("store: as it is in", c.store())
		return nil
	}
	w, err := store.OpenWriter(c.store(), store.Config{})
	if err != nil {
		return err
	}
	var took, cpu time.Duration
	var size reference
	n := 0
	err = c.each(func(entries []store.Entry) error {
		if err := size.add(entries); err != nil {
			return err
		}
		began, used := time.Now(), cpuTime()
		for len(entries) > 0 {
			k := min(c.batch, len(entries))
			err := w.Commit(ctx, store.Batch{Entries: entries[:k], Position: fmt.Appendf(nil, `{"seq":%d}`, entries[k-1].Seq), Time: entries[0].Time})
			if err != nil {
				return err
			}
			n, entries = n+k, entries[k:]
		}
		took, cpu = took+time.Since(began), cpu+cpuTime()-used
		return nil
	})
	if err = errors.Join(err, size.close()); err != nil {
		return err
	}
	began := time.Now()
	if err := w.Close(); err != nil {
		return err
	}
	took += time.Since(began)
	bytes := dirSize(c.store())
	fmt.Printf("stored     %d entries in batches of %d, each synced: %.0f entries/s, %.1f CPU seconds a million\n", n, c.batch, float64(n)/took.Seconds(), cpu.Seconds()*1e6/float64(n))
	fmt.Printf("size       %.1f bytes an entry, lines have %.0f: 1:%.2f\n", float64(bytes)/float64(n), float64(size.raw)/float64(n), float64(size.raw)/float64(bytes))
	fmt.Printf("reference  %s of the same NDJSON in pieces of 1 MiB: 1:%.2f; the store is %.2f x as large\n", size.tool, size.ratio(), float64(bytes)/float64(size.raw)*size.ratio())
	return nil
}

func dirSize(dir string) (n int64) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}

// sample picks the traces that are asked for: random ones, the largest and the longest.
func (c *config) sample(ctx context.Context) (random, largest, longest []task.Trace, err error) {
	r, err := store.Open(c.store())
	if err != nil {
		return nil, nil, nil, err
	}
	defer r.Close()
	tasks, err := r.Tasks(ctx, store.TaskQuery{Counts: true})
	if err != nil {
		return nil, nil, nil, err
	}
	random, largest, longest = pickTasks(tasks, c.traces)
	return random, largest, longest, nil
}
