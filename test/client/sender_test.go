package client

import (
	"context"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// reports collects what a transport says.
type reports struct {
	mu    sync.Mutex
	lines []string
	ch    chan string
}

func newReports() *reports { return &reports{ch: make(chan string, 1000)} }

func (r *reports) add(line string) {
	r.mu.Lock()
	r.lines = append(r.lines, line)
	r.mu.Unlock()
	r.ch <- line
}

func (r *reports) await(tb testing.TB, part string) {
	tb.Helper()
	limit := time.After(30 * time.Second)
	for {
		select {
		case line := <-r.ch:
			if strings.Contains(line, part) {
				return
			}
		case <-limit:
			tb.Fatalf("nothing with %q was said; said: %q", part, r.lines)
		}
	}
}

func open(tb testing.TB, cfg transport.Config) (*transport.Transport, *reports) {
	tb.Helper()
	said := newReports()
	cfg.Report = said.add
	if cfg.Queue == nil {
		cfg.Queue = spool.NewMemory(spool.Config{Bytes: 256 << 20})
	}
	tr, err := transport.Open(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		tr.Close(ctx)
	})
	return tr, said
}

func flush(tb testing.TB, tr *transport.Transport) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := tr.Flush(ctx); err != nil {
		tb.Fatalf("%v; %+v", err, tr.Stats())
	}
	if n := tr.Stats().Queue.Waiting; n != 0 {
		tb.Errorf("%d entries wait after the flush", n)
	}
}

// under runs a load of 40 subjects while trouble does its work, and compares.
func under(t *testing.T, s *natsServer, url string, trouble func(*transport.Transport)) {
	t.Helper()
	tr, said := open(t, transport.Config{URL: url})
	var l ledger
	stop := make(chan struct{})
	wait := l.load(t, tr, 5000, stop)
	trouble(tr)
	close(stop)
	wait()
	flush(t, tr)
	stats := tr.Stats()
	t.Logf("%d packs, %d resends, said %q", stats.Packs, stats.Resends, said.lines)
	if stats.Acked != uint64(len(l.said)) || stats.Sent != stats.Acked || stats.Duplicates != 0 {
		t.Errorf("said %d, stats %+v", len(l.said), stats)
	}
	if l.slowest > time.Second {
		t.Errorf("a call took %v", l.slowest)
	}
	l.compare(t, s)
}

func pause(d time.Duration) { <-time.After(d) }

func TestServerKilled(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	under(t, s, s.url(), func(*transport.Transport) {
		for range 4 {
			pause(time.Duration(200+rand.IntN(400)) * time.Millisecond)
			s.kill()
			pause(time.Duration(rand.IntN(600)) * time.Millisecond)
			s.start()
		}
		pause(200 * time.Millisecond)
	})
}

func TestPathStalls(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startProxy(t, s.addr)
	under(t, s, p.url(), func(tr *transport.Transport) {
		for range 2 {
			pause(300 * time.Millisecond)
			p.set(func() { p.hold = [2]bool{true, true} })
			pause(2500 * time.Millisecond)
			p.set(func() { p.hold = [2]bool{} })
		}
		pause(200 * time.Millisecond)
		if tr.Stats().Resends == 0 {
			t.Error("the stall was too short to resend")
		}
	})
}

func TestAcksCutOff(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startProxy(t, s.addr)
	under(t, s, p.url(), func(tr *transport.Transport) {
		pause(300 * time.Millisecond)
		p.set(func() { p.lose[toClient] = true })
		pause(2500 * time.Millisecond)
		p.set(func() { p.lose[toClient] = false })
		p.cut()
		pause(300 * time.Millisecond)
		p.set(func() { p.lose[toClient] = true })
		pause(300 * time.Millisecond)
		p.set(func() { p.lose[toClient] = false })
		p.cut()
		pause(300 * time.Millisecond)
		if tr.Stats().Resends == 0 {
			t.Error("no pack was resent")
		}
	})
}

func TestConnectionCut(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := startProxy(t, s.addr)
	under(t, s, p.url(), func(*transport.Transport) {
		for range 8 {
			pause(time.Duration(50+rand.IntN(200)) * time.Millisecond)
			p.cut()
		}
		pause(200 * time.Millisecond)
	})
}
