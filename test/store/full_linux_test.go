package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/test/gen"
)

// TestFullDisk: on a small file system nothing that was acked is lost, no file is damaged, and it goes on when there is room.
func TestFullDisk(t *testing.T) {
	for name, minFree := range map[string]int64{"stops before": 4 << 20, "meets the end": -1} {
		t.Run(name, func(t *testing.T) { fullDisk(t, minFree) })
	}
}

func fullDisk(t *testing.T, minFree int64) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("SKIPPED, A FULL DISK WAS NOT TRIED: mounting a small file system needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 8<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(disk, "store")
	g := gen.New(gen.Config{Entries: 1 << 30})
	var stored []string
	refused := 0
	w, err := store.OpenWriter(dir, store.Config{MinFree: minFree})
	if err != nil {
		t.Fatal(err)
	}
	var batch store.Batch
	var lines []string
	for seq := uint64(1); len(stored) < 80_000; {
		if batch.Entries == nil {
			lines = nil
			for range 2000 {
				e, _ := g.Next()
				line := string(e.Line)
				lines = append(lines, line)
				batch.Entries = append(batch.Entries, store.Entry{Line: []byte(line), Subject: e.Subject, Seq: seq, Time: e.Time})
				seq++
			}
			batch.Position, batch.Time = fmt.Appendf(nil, "%d", seq-1), batch.Entries[0].Time
		}
		err := w.Commit(t.Context(), batch)
		if err == nil {
			stored = append(stored, lines...)
			batch = store.Batch{}
			continue
		}
		if refused++; refused > 20 {
			t.Fatalf("refused again and again: %v", err)
		}
		full, ok := errors.AsType[*store.FullError](err)
		if minFree > 0 && (!ok || full.Free >= minFree) {
			t.Fatalf("commit: %v", err)
		}
		compareDisk(t, dir, stored)
		if refused == 3 {
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
		}
		if w = reopen(t, w, dir, minFree, ballast); string(w.Position()) != position(len(stored)) {
			t.Fatalf("after a full disk the store is at %s, want %d", w.Position(), len(stored))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if refused == 0 {
		t.Error("the disk was never full")
	}
	compareDisk(t, dir, stored)
	r, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	checked, err := r.Verify(t.Context())
	if err != nil || len(checked[0].Problems) > 0 {
		t.Errorf("verify: %+v, %v", checked, err)
	}
}

func position(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}

// reopen does what a runner does; where the disk is too full for that, it takes the ballast away.
func reopen(t *testing.T, w *store.Writer, dir string, minFree int64, ballast string) *store.Writer {
	t.Helper()
	if err := w.Close(); err != nil {
		t.Logf("close on a full disk: %v", err)
	}
	w, err := store.OpenWriter(dir, store.Config{MinFree: minFree})
	if err != nil {
		t.Logf("open on a full disk: %v", err)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		if w, err = store.OpenWriter(dir, store.Config{MinFree: minFree}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

func compareDisk(t *testing.T, dir string, want []string) {
	t.Helper()
	r, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n := 0
	err = r.Read(t.Context(), store.Query{}, func(it store.Item) error {
		if n >= len(want) || string(it.Line) != want[n] {
			return fmt.Errorf("entry %d is not what was acked", n)
		}
		n++
		return nil
	})
	if err != nil || n != len(want) || len(r.Problems()) > 0 {
		t.Fatalf("%d entries are read, %d were acked: %v, %v", n, len(want), err, r.Problems())
	}
}
