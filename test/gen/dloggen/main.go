// Program dloggen writes the entries of package gen to standard output, one JSON object a line.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/dlog-fabric/dlog/test/gen"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "dloggen:", err)
		os.Exit(1)
	}
}

func run() error {
	var cfg gen.Config
	var start string
	flag.IntVar(&cfg.Entries, "n", 1_000_000, "make `N` entries")
	flag.Uint64Var(&cfg.Seed, "seed", 0, "other seeds make other entries")
	flag.Float64Var(&cfg.Rate, "rate", 0, "`N` entries in a second of the shop's time (default 115: ten million a day)")
	flag.IntVar(&cfg.Long, "long", 0, "`N` tasks that run all the time")
	flag.IntVar(&cfg.Huge, "huge", 0, "one task of `N` entries")
	flag.StringVar(&start, "start", "", "the shop's `TIME` of the first entry, in RFC 3339")
	subjects := flag.Bool("subjects", false, "write the subject and a tab before each line")
	flag.Parse()
	if start != "" {
		t, err := time.Parse(time.RFC3339, start)
		if err != nil {
			return fmt.Errorf("-start: %w", err)
		}
		cfg.Start = t
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	g := gen.New(cfg)
	for e, ok := g.Next(); ok; e, ok = g.Next() {
		if *subjects {
			_, _ = out.WriteString(e.Subject + "\t")
		}
		_, _ = out.Write(e.Line)
		_ = out.WriteByte('\n')
	}
	return out.Flush()
}
