package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/test/gen"
)

// dirSize is what a directory takes.
func dirSize(tb testing.TB, dir string) (n int64) {
	tb.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	for _, e := range list {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		n += info.Size()
	}
	return n
}

// BenchmarkCommit writes 100,000 entries, parsing included, with an fsync for each batch.
func BenchmarkCommit(b *testing.B) {
	entries := shop(gen.Config{Entries: 100_000})
	for _, batch := range []int{1000, 8192} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			var size int64
			begin := time.Now()
			for b.Loop() {
				dir := b.TempDir()
				write(b, dir, entries, batch)
				size = dirSize(b, dir)
			}
			n := float64(len(entries))
			b.ReportMetric(n*float64(b.N)/time.Since(begin).Seconds(), "entries/s")
			b.ReportMetric(float64(size)/n, "B/entry")
		})
	}
}
