package spool

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// mount mounts a tmpfs of some KiB, or skips the test and says why.
func mount(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("NOT RUN: a tmpfs cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func say(q Queue, level entry.Level, n int) (accepted int) {
	for range n {
		f, err := q.Reserve("s", level, false, 1000)
		if err != nil {
			continue
		}
		f.Commit(copy(f.Line, strings.Repeat("x", 999)+"\n"))
		accepted++
	}
	return accepted
}

func ackEverything(t *testing.T, q Queue) (n int) {
	t.Helper()
	for it, ok := q.Next(); ok; it, ok = q.Next() {
		p := Pack{Number: q.LastNumber() + 1, Subject: it.Subject, First: it.At, Last: it.At, Count: 1}
		if err := q.Fix(p); err != nil {
			t.Fatal(err)
		}
		q.Acked(p.Number)
		n++
	}
	return n
}

// TestFullDisk: a disk that fills up under a queue refuses entries, by level and counted; the process lives; the segments it has
// serve on; and when there is room again they are not all.
func TestFullDisk(t *testing.T) {
	for name, noMap := range map[string]bool{"mapped": false, "written": true} {
		t.Run(name, func(t *testing.T) {
			dir := mount(t, "size=8m,mode=0700")
			q, err := Open(Config{Dir: dir, Bytes: 6 << 20, NoMap: noMap, Block: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer q.Close()
			filler := filepath.Join(dir, "filler")
			if err := os.WriteFile(filler, make([]byte, 6<<20+800<<10), 0o600); err != nil {
				t.Fatal(err)
			}
			debug, warn := say(q, entry.Debug, 20000), say(q, entry.Warn, 20000)
			if debug < 300 || debug > 6000 || warn < 30 {
				t.Errorf("%d debug and %d warn entries accepted", debug, warn)
			}
			refused := map[Reason]uint64{}
			for _, r := range q.Stats().Refused {
				refused[r.Reason] += r.Count
			}
			if refused[NoDisk] == 0 {
				t.Errorf("refused: %v", q.Stats().Refused)
			}
			if n := ackEverything(t, q); n != debug+warn {
				t.Errorf("%d of %d entries came out", n, debug+warn)
			}
			// All is acked: with the disk still full the same segments serve debug entries again and again.
			for range 20 {
				n := say(q, entry.Debug, 200)
				if got := ackEverything(t, q); n < 100 || got != n {
					t.Fatalf("%d of 200 debug entries accepted and %d read while the disk is full", n, got)
				}
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			c, _ := q.(*chain)
			c.mu.Lock()
			c.retry = c.retry.Add(-retryAfter) // as if the pause were over
			c.mu.Unlock()
			if n := say(q, entry.Warn, 4000); n != 4000 {
				t.Errorf("%d of 4000 entries accepted with room on the disk", n)
			}
			ackEverything(t, q)
		})
	}
}

func TestFullDiskAtTheStart(t *testing.T) {
	dir := mount(t, "size=256k,mode=0700")
	if _, err := Open(Config{Dir: dir}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("open: %v", err)
	}
	left, _ := os.ReadDir(dir)
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	q, err := OpenOrMemory(Config{Dir: dir})
	if err == nil || !strings.HasPrefix(q.Where(), "memory") {
		t.Errorf("%s, %v", q.Where(), err)
	}
}

func TestReadOnlyDirectory(t *testing.T) {
	dir := mount(t, "size=1m,ro")
	if _, err := Open(Config{Dir: filepath.Join(dir, "spool")}); err == nil || strings.Contains(err.Error(), "\n") {
		t.Errorf("open: %v", err)
	}
	if s := place(func(k string) string { return map[string]string{"STATE_DIRECTORY": dir}[k] }); s.Dir != "" {
		t.Errorf("place: %+v", s)
	}
}

// TestForeignSpool: only root adopts what belongs to another user.
func TestForeignSpool(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: needs root to make files of another user")
	}
	dir := t.TempDir()
	q, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if n := say(q, entry.Info, 3); n != 3 {
		t.Fatal(n)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	chown := func(path string) {
		t.Helper()
		if err := os.Chown(path, 4711, 4711); err != nil {
			t.Fatal(err)
		}
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*"))
	chown(found[0])
	if _, err := Adopt(dir); err == nil || !strings.Contains(err.Error(), "another user than the directory") {
		t.Errorf("adopted files of two owners: %v", err)
	}
	files, _ := filepath.Glob(filepath.Join(found[0], "*"))
	for _, f := range files {
		chown(f)
	}
	all, err := Adopt(dir)
	if err != nil || len(all) != 1 || ackEverything(t, all[0]) != 3 {
		t.Fatalf("root adopted %d: %v", len(all), err)
	}
	if err := all[0].Close(); err != nil {
		t.Error(err)
	}
}

// TestAnotherUserAdoptsNothing runs this test as another user in a child.
func TestAnotherUserAdoptsNothing(t *testing.T) {
	const env = "DLOG_SPOOL_TEST_FOREIGN"
	if dir := os.Getenv(env); dir != "" {
		all, err := Adopt(dir)
		if len(all) > 0 || err == nil || !strings.Contains(err.Error(), "belongs to another user") {
			t.Errorf("adopted %d: %v", len(all), err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: needs root to become another user")
	}
	dir, err := os.MkdirTemp("/tmp", "dlog-spool-test")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	q, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	say(q, entry.Info, 3)
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "test")
	if err := os.WriteFile(bin, self, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-test.run=^TestAnotherUserAdoptsNothing$")
	cmd.Env, cmd.Dir = append(os.Environ(), env+"="+dir), dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4711, Gid: 4711}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestMemoryLimitIsSensible(t *testing.T) {
	if n := memoryLimit(); n < 1<<20 || n > machineMemory() {
		t.Errorf("%d bytes of %d", n, machineMemory())
	}
}

// TestOverlay: what lies below an overlay is not known, so files are written there.
func TestOverlay(t *testing.T) {
	base := mount(t, "size=16m,mode=0700")
	var dirs []string
	for _, name := range []string{"lower", "upper", "work", "merged"} {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	merged := dirs[3]
	if err := unix.Mount("overlay", merged, "overlay", 0, "lowerdir="+dirs[0]+",upperdir="+dirs[1]+",workdir="+dirs[2]); err != nil {
		t.Skipf("NOT RUN: an overlay cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(merged, unix.MNT_DETACH) })
	q, err := Open(Config{Dir: merged, Bytes: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(q.Where(), "(overlay, written, 4 MiB)") {
		t.Error(q.Where())
	}
	if n := say(q, entry.Info, 1000); n != 1000 || ackEverything(t, q) != n {
		t.Errorf("%d entries", n)
	}
	if err := q.Close(); err != nil {
		t.Error(err)
	}
}

// TestSpoolInMemoryIsBounded: a spool on tmpfs is memory of the cgroup.
func TestSpoolInMemoryIsBounded(t *testing.T) {
	q, err := Open(Config{Dir: mount(t, "size=64m,mode=0700"), Bytes: 1 << 50})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if got, most := q.Stats().Limit, memoryLimit()/10; got > most {
		t.Errorf("limit %d, more than a tenth of %d", got, memoryLimit())
	}
}
