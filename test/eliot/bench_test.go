//go:build unix

package eliot

import (
	"bytes"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// BenchmarkRead reads the log of Eliot's that DLOG_ELIOT_LOG names into trees and walks over them: what testdata/parse.py does with
// Eliot's own parser. scripts/bench eliot runs both. The figure is CPU time, all threads of the process included.
func BenchmarkRead(b *testing.B) {
	name := os.Getenv("DLOG_ELIOT_LOG")
	if name == "" {
		b.Skip("DLOG_ELIOT_LOG names no log; scripts/bench eliot makes some")
	}
	data, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
	tasks := 0
	start := cpuTime(b)
	for b.Loop() {
		tasks = read(b, lines)
	}
	used := cpuTime(b) - start
	b.ReportMetric(float64(len(lines)*b.N)/used.Seconds(), "messages/cpu-s")
	b.ReportMetric(float64(tasks), "tasks")
}

// read makes trees of the lines and returns how many tasks they have.
func read(b *testing.B, lines [][]byte) (tasks int) {
	f := tree.New()
	for _, line := range lines {
		e, err := entry.Parse(line)
		if err != nil {
			b.Fatal(err)
		}
		f.Add(e)
	}
	for _, root := range f.Roots() {
		tasks += root.Tasks
		if root.MissingCount() > 0 || root.Entries == 0 {
			b.Fatalf("trace %s: %d entries, %d missing", root.Trace, root.Entries, root.MissingCount())
		}
	}
	return tasks
}

// cpuTime returns the CPU time that the process has used.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
