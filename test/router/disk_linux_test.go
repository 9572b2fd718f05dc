package router_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// smallDisk mounts a file system of its own in memory.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Skipf("needs the right to mount a small file system: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// ballast leaves so many bytes free and returns what gives them back.
func ballast(t *testing.T, dir string, left uint64) func() {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	size := max(int64(st.Bavail*uint64(st.Bsize))-int64(left), 0)
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Error(err)
		}
	}
}

// until asks again and again, up to half a minute.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	end := time.After(30 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-end:
			t.Fatalf("not within 30 s: %s", what)
		case <-tick.C:
		}
	}
}

func (c *client) try(n int) error {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
	defer cancel()
	_, err := c.js.Publish(ctx, "dlog.in.svc.info.-", fmt.Appendf(nil, `{"n":%d,"text":%q}`, n, strings.Repeat("x", 10_000)), jetstream.WithMsgID(fmt.Sprint("id", n)))
	return err
}

// TestDiskNearlyFull: before the disk is full new entries are refused with an answer, and taken again when there is room.
func TestDiskNearlyFull(t *testing.T) {
	dir := smallDisk(t)
	cfg := inDir(t)
	cfg.Server.Data = filepath.Join(dir, "data")
	r := run(t, cfg)
	c := dial(t, r.addrs.NATS)
	if err := c.try(1); err != nil {
		t.Fatal(err)
	}
	remove := ballast(t, dir, 8<<20)
	n := 1
	until(t, "refused", func() bool {
		var api *jetstream.APIError
		n++
		return errors.As(c.try(n), &api) && api.ErrorCode == 10077
	})
	if body := r.get("/readyz", http.StatusServiceUnavailable); !strings.Contains(body, "disk nearly full") {
		t.Errorf("/readyz says %q", body)
	}
	r.get("/healthz", http.StatusOK)
	remove()
	refused := n
	until(t, "taken again", func() bool { n++; return c.try(n) == nil })
	until(t, "ready", func() bool { code, _ := r.fetch("/readyz"); return code == http.StatusOK })
	c.settled("DLOG_IN")
	all := c.everything("DLOG_TO_all")
	if len(all) != refused || number(t, string(all[len(all)-1].Data)) != n {
		t.Errorf("%d messages of %d, the last of them %s", len(all), refused, all[len(all)-1].Data)
	}
	c.nc.Close()
	r.stop()
}

// TestDiskFull: a disk that fills at once makes the server unable to write; it is started anew when there is room, and what it
// had acked is there.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t)
	cfg := inDir(t)
	cfg.Server.Data = filepath.Join(dir, "data")
	r := run(t, cfg)
	c := dial(t, r.addrs.NATS)
	remove := ballast(t, dir, 2<<20)
	acked := map[int]bool{}
	n := 0
	until(t, "an entry is not taken", func() bool { // 2 MiB are full long before the router looks
		for range 1000 {
			if n++; c.try(n) != nil {
				return true
			}
			acked[n] = true
		}
		return false
	})
	until(t, "not ready", func() bool { code, _ := r.fetch("/readyz"); return code == http.StatusServiceUnavailable })
	remove()
	until(t, "taken again", func() bool { n++; return c.try(n) == nil })
	acked[n] = true
	until(t, "ready", func() bool { code, _ := r.fetch("/readyz"); return code == http.StatusOK })
	c.settled("DLOG_IN")
	for _, p := range c.everything("DLOG_TO_all") {
		delete(acked, number(t, string(p.Data)))
	}
	if len(acked) > 0 {
		t.Errorf("%d acked entries are lost: %v", len(acked), acked)
	}
	c.nc.Close()
	r.stop()
}
