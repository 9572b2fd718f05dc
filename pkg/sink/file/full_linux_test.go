package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dlog-fabric/dlog/pkg/config"
)

// TestDiskFull: on a real file system without room a commit fails with a clear line and takes back what it wrote; when there is room
// again nothing is lost and nothing stands there twice.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skip("a small file system can be mounted by root only:", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	h := byHand(t, filepath.Join(dir, "a"), func(c *Config) { c.RotateSize = config.Size(20_000); c.Compress = "none" })
	hog := filepath.Join(dir, "hog")
	if err := os.WriteFile(hog, make([]byte, 120<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	line := `"` + strings.Repeat("x", 2000) + `"`
	stored, failed := 0, 0
	for tries := 0; failed < 5; tries++ {
		if tries > 200 {
			t.Fatal("the disk does not get full")
		}
		err := commit(t, h.file, line)
		if err == nil {
			stored++
			continue
		}
		failed++
		if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "no room on the disk of "+h.path) {
			t.Fatalf("a full disk says %v", err)
		}
		_ = errors.Join(h.release(), h.open(t.Context())) // as the runner does; it may fail while there is no room
		if h.f == nil {
			break
		}
	}
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	h.reopen()
	if int(h.state.Committed.Seq) != stored {
		t.Errorf("%d lines are committed, the file holds %v", stored, h.state.Committed)
	}
	for range 10 {
		h.say(line)
	}
	gens, _, err := h.names.list()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Count(read(t, h.path), "\n")
	for _, g := range gens {
		got += strings.Count(read(t, g.path), "\n")
	}
	if got != stored+10 || len(gens) == 0 {
		t.Errorf("%d lines in %d files, want %d", got, len(gens)+1, stored+10)
	}
	t.Logf("%d lines before it was full, %d failures", stored, failed)
}
