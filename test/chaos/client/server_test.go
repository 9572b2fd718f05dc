//go:build unix

package client

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestServer keeps one application at work while the server is stopped, killed, started again and rolled back to an older copy of its data.
// Nothing is lost, torn or stored twice, and no call waits for any of it.
func TestServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	net := startProxy(t, w.addr)
	w.url = net.url()
	all := places(t, mapped)
	p := all[len(all)-1]
	if *onDisk {
		p = all[0]
	}
	r := w.startApp(p, 4000, false)
	said := func(n uint64) { w.reach(r, r.ledger.total()+n) }
	file := w.newRoll()

	t.Logf("server stopped for %v", *stopFor)
	said(2000)
	w.router.signal(syscall.SIGSTOP)
	pause(*stopFor)
	w.router.signal(syscall.SIGCONT)

	t.Log("killed while stopped, started again")
	said(4000)
	w.router.signal(syscall.SIGSTOP)
	said(4000)
	w.killRouter()
	said(4000)
	w.startRouter()

	t.Log("ended in peace, copied, started again")
	said(4000)
	w.router.end(syscall.SIGTERM)
	old := filepath.Join(w.dir, "older")
	if err := os.CopyFS(old, os.DirFS(w.data())); err != nil {
		t.Fatal(err)
	}
	w.startRouter()
	said(4000)

	// What is acked to the application and no longer in the server after the rollback is the server's loss; so the sink gets that first. What follows is
	// stored, routed and in the sink, but no answer reaches the application: the hard case.
	t.Log("rolled back to the copy, while nothing that was stored since is acked")
	r.ledger.hold.Store(1)
	if v := file.complete(); v.lost > 0 {
		t.Fatalf("%d entries are missing before the rollback, %s for one", v.lost, v.first)
	}
	const late = 400 * time.Millisecond
	net.late.Store(int64(late))
	w.router.signal(syscall.SIGSTOP)
	r.ledger.hold.Store(0)
	before := file.lines
	said(8000)
	w.router.signal(syscall.SIGCONT) // small packs are stored now; their answers let large ones go
	pause(late + late/2)
	net.deaf.Store(true)
	if !await(20*time.Second, func() bool { file.read(); return file.lines >= before+enough }) {
		t.Errorf("only %d entries came to the sink without answers", file.lines-before)
	}
	stored := file.lines - before
	w.killRouter()
	if err := os.RemoveAll(w.data()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old, w.data()); err != nil {
		t.Fatal(err)
	}
	net.late.Store(0)
	net.deaf.Store(false)
	net.cut()
	w.startRouter()
	said(4000)

	t.Log("the application is killed, and started once more")
	r.end(syscall.SIGKILL)
	w.bury(p)
	file.check()
	t.Logf("%d entries were in the sink and un-acked when the server was rolled back", stored)
	t.Logf("said by the application: %s", r.stderr)
	report(t, r.ledger)
}

// report prints how long calls took. Only the long form (-disk) fails where one took more than tooLong of which the machine gave it its
// share: a suite that fails because its machine is busy says nothing.
func report(t *testing.T, l *ledger) {
	t.Helper()
	t.Logf("calls, wall clock:                        %v", &l.wall)
	t.Logf("zerolog to nowhere beside each:           %v", &l.bare)
	t.Logf("calls, less the time others had the core: %v", &l.net)
	for _, line := range l.net.lines() {
		t.Log(line)
	}
	if n := l.net.slow.Load(); n > 0 && *onDisk {
		t.Errorf("%d calls took over %v", n, tooLong)
	}
}
