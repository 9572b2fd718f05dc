package tree

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// BenchmarkTree reads, builds and writes one tree of 75,000 entries from three
// processes, the lines in random order: what `tree ID` does.
func BenchmarkTree(b *testing.B) {
	var lines []line
	procs := []*process{newProcess("shop", &lines), newProcess("bank", &lines), newProcess("mail", &lines)}
	r := rand.New(rand.NewPCG(1, 2))
	for len(lines) < 75_000 {
		lines = lines[:0]
		randomTree(r, procs, trace1, 60_000)
	}
	r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
	benchmark(b, rawLines(lines))
}

// BenchmarkWide is 50,000 entries in one task.
func BenchmarkWide(b *testing.B) {
	var lines []line
	o := newProcess("shop", &lines).start(trace1, "order", "")
	for range 50_000 {
		o.info("said")
	}
	o.end(task.Succeeded)
	benchmark(b, rawLines(lines))
}

// BenchmarkEliot reads an Eliot log of 50,000 messages in one task, the case
// that Eliot's own parser takes longest for.
func BenchmarkEliot(b *testing.B) {
	lines := make([][]byte, 0, 50_000)
	const rest = `"task_uuid": "3df31c95-99d6-4e09-951f-0392e6bc9472", "timestamp": 1795363886.0525594`
	lines = append(lines, []byte(`{"action_status": "started", "action_type": "main", "task_level": [1], `+rest+`}`))
	for i := 2; i < 50_000; i++ {
		lines = append(lines, fmt.Appendf(nil, `{"message_type": "said", "x": %d, "task_level": [%d], %s}`, i, i, rest))
	}
	lines = append(lines, []byte(`{"action_status": "succeeded", "action_type": "main", "task_level": [50000], `+rest+`}`))
	benchmark(b, lines)
}

func benchmark(b *testing.B, lines [][]byte) {
	b.SetBytes(int64(len(bytes.Join(lines, []byte("\n")))))
	b.ReportAllocs()
	for b.Loop() {
		f := New()
		for _, line := range lines {
			e, err := entry.Parse(line)
			if err != nil {
				b.Fatal(err)
			}
			f.Add(e)
		}
		for _, root := range f.Roots() {
			if err := WriteTree(io.Discard, root); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(len(lines)*b.N)/b.Elapsed().Seconds(), "entries/s")
}
