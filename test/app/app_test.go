// Package app runs pkg/dlog against a server: what an application says is in IN when Close returns, and what it could not send is sent by its next start.
package app

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// in is a server with the stream that entries go to.
type in struct {
	t   *testing.T
	url string
	js  jetstream.JetStream
}

func start(t *testing.T) *in {
	t.Helper()
	s, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "DLOG_IN", Subjects: []string{"dlog.in.>"}}); err != nil {
		t.Fatal(err)
	}
	return &in{t: t, url: s.URL(), js: js}
}

// until reads the stream from its beginning until done, and returns the entries.
func (s *in) until(done func(entry.Entry) bool) (all []entry.Entry) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	cons, err := s.js.OrderedConsumer(ctx, "DLOG_IN", jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.t.Fatal(err)
	}
	msgs, err := cons.Messages()
	if err != nil {
		s.t.Fatal(err)
	}
	defer msgs.Stop()
	context.AfterFunc(ctx, msgs.Stop)
	for {
		m, err := msgs.Next()
		if err != nil {
			s.t.Fatalf("%v after %d entries", err, len(all))
		}
		for line := range bytes.Lines(m.Data()) {
			e, err := entry.Parse(bytes.Clone(line))
			if err != nil || !e.HasMeta {
				s.t.Fatalf("not an entry: %s", line)
			}
			all = append(all, e)
			if done(e) {
				return all
			}
		}
	}
}

// said is a place for advice.
type said struct {
	mu sync.Mutex // guards b
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func placeOrder(ctx context.Context, d *dlog.Client) (err error) {
	ctx, t := d.Start(ctx, "place-order", dlog.Str("order", "A-17"))
	defer t.End(&err)
	for range 100 {
		zerolog.Ctx(ctx).Debug().Msg("step")
	}
	return d.Do(ctx, "charge-card", func(context.Context) error { return errors.New("card declined") })
}

func TestWhatWasSaidIsStoredWhenCloseReturns(t *testing.T) {
	s := start(t)
	d, err := dlog.Open(dlog.Config{Service: "checkout", URL: s.url, Spool: "memory", Also: "none"})
	if err != nil {
		t.Fatal(err)
	}
	_ = placeOrder(t.Context(), d)
	if err := d.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Close(t.Context()); err != nil {
		t.Error(err)
	}
	f := tree.New()
	for _, e := range s.until(func(e entry.Entry) bool { return e.Meta.Event == entry.Death }) {
		f.Add(e)
	}
	roots := f.Roots()
	if len(roots) != 1 || roots[0].Outcome != task.Failed || roots[0].MissingCount() != 0 || roots[0].Error != "card declined" {
		t.Errorf("%d trees: %+v", len(roots), roots[0])
	}
}

func TestTheNextStartSendsWhatWasLeft(t *testing.T) {
	dir := t.TempDir()
	var told said
	cfg := dlog.Config{Service: "checkout", URL: "nats://127.0.0.1:1", Spool: dir, Also: "none", Stderr: &told}
	dead, err := dlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_ = placeOrder(t.Context(), dead)
	dead.Start(t.Context(), "left-open")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := dead.Close(gone); err == nil {
		t.Fatal("everything was stored without a server")
	}
	if !strings.Contains(told.String(), "entries wait in "+dir) {
		t.Errorf("said %s", told.String())
	}

	other := cfg // another service in the same directory leaves it alone
	other.Service = "payments"
	stranger, err := dlog.Open(other)
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close(gone) //nolint:errcheck // it has no server

	s := start(t)
	cfg.URL = s.url
	next, err := dlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f := tree.New()
	for _, e := range s.until(func(e entry.Entry) bool {
		return e.Meta.Event == entry.Death && e.Meta.Proc == dead.Tasks().ID().String() && e.Level == entry.Warn
	}) {
		f.Add(e)
	}
	if err := next.Close(t.Context()); err != nil {
		t.Error(err)
	}
	outcomes := map[string]task.Outcome{}
	for _, r := range f.Roots() {
		outcomes[r.Path] = r.Outcome
		if r.Outcome != task.Abandoned && r.MissingCount() != 0 { // the end of an abandoned one died with its process
			t.Errorf("%s misses %d entries", r.Path, r.MissingCount())
		}
	}
	if outcomes["place-order"] != task.Failed || outcomes["left-open"] != task.Abandoned {
		t.Errorf("outcomes: %v", outcomes)
	}
}
