package client

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// Beyond the duplicate window the server stores a resend again. Then every copy but
// one says that it is one, and holds the same bytes.
func TestBeyondTheWindow(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	narrow := inStream()
	narrow.Duplicates = 100 * time.Millisecond
	if _, err := s.connect().UpdateStream(ctx, narrow); err != nil {
		t.Fatal(err)
	}
	p := startProxy(t, s.addr)
	tr, _ := open(t, transport.Config{URL: p.url()})
	var l ledger
	stop := make(chan struct{})
	wait := l.load(t, tr, 2000, stop)
	for range 3 {
		pause(300 * time.Millisecond)
		p.set(func() { p.lose[toClient] = true })
		pause(400 * time.Millisecond)
		p.set(func() { p.lose[toClient] = false })
		p.cut()
	}
	close(stop)
	wait()
	flush(t, tr)

	first := map[string]string{}
	unmarked := map[string]int{}
	twice, lines := 0, 0
	s.readAll(func(m jetstream.Msg) {
		p, err := stream.DecodePack(m.Subject(), m.Headers(), m.Data(), stream.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if !p.Again {
			unmarked[p.ID]++
		}
		if data, ok := first[p.ID]; ok {
			twice++
			if data != string(p.Data) {
				t.Errorf("pack %s has two contents", p.ID)
			}
			return
		}
		first[p.ID] = string(p.Data)
		lines += p.Count
	})
	for id, n := range unmarked {
		if n > 1 {
			t.Errorf("%d copies of pack %s are not marked", n, id)
		}
	}
	if lines != len(l.said) || twice == 0 {
		t.Errorf("%d entries of %d, %d packs twice", lines, len(l.said), twice)
	}
	t.Logf("%d packs, %d of them stored twice", len(first), twice)
}
