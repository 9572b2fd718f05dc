package store

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/test/gen"
)

// TestStockTools runs the commands of docs/store.md, each fenced block of which that begins with "cd dlog-store" stands for itself, and
// compares what the last of them prints with the entries.
func TestStockTools(t *testing.T) {
	for _, tool := range []string{"sh", "sqlite3", "zstd"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIPPED, THE MANUAL'S COMMANDS WERE NOT TRIED: %v", err)
		}
	}
	manual, err := os.ReadFile("../../docs/store.md")
	if err != nil {
		t.Fatal(err)
	}
	where := t.TempDir()
	dir := filepath.Join(where, "dlog-store")
	w, err := store.OpenWriter(dir, store.Config{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	g := gen.New(gen.Config{Entries: 3500, Failures: 0.2})
	var want bytes.Buffer
	var b store.Batch
	for e, ok := g.Next(); ok; e, ok = g.Next() {
		want.Write(e.Line)
		want.WriteByte('\n')
		b.Entries = append(b.Entries, store.Entry{Line: bytes.Clone(e.Line), Subject: e.Subject, Seq: 1, Time: e.Time})
	}
	b.Position, b.Time = []byte("{}"), b.Entries[0].Time
	if err := w.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range strings.Split(string(manual), "```sh\n")[1:] {
		commands, _, _ := strings.Cut(block, "```")
		if !strings.HasPrefix(commands, "cd dlog-store") {
			continue
		}
		ran++
		cmd := exec.Command("sh", "-eu", "-c", commands)
		cmd.Dir = where
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		began := time.Now()
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s%v\n%s", commands, err, stderr.String())
			continue
		}
		if len(out) == 0 {
			t.Errorf("%sprints nothing", commands)
		}
		if strings.Contains(commands, "zstd") && !strings.Contains(commands, "WHERE") && !bytes.Equal(out, want.Bytes()) {
			t.Errorf("%sprints %d bytes that are not the %d of the entries", commands, len(out), want.Len())
		}
		t.Logf("%s-> %d lines in %v", commands, bytes.Count(out, []byte{'\n'}), time.Since(began).Round(time.Millisecond))
	}
	if ran < 4 {
		t.Errorf("%d blocks of commands are in the manual", ran)
	}
}
