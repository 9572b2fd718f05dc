package transport

import (
	"context"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// sentPack is one publish that a fake link saw.
type sentPack struct {
	at      time.Duration // since the start of the test
	subject string
	reply   string
	header  nats.Header
	data    string
}

func (p sentPack) id() string    { return p.header.Get(stream.HdrMsgID) }
func (p sentPack) again() bool   { return p.header.Get(stream.HdrAgain) == "1" }
func (p sentPack) count() string { return p.header.Get(stream.HdrCount) }

// fakeLink is a connection without a network. reply makes the answer to the n-th
// publish (from 1); nil is none.
type fakeLink struct {
	start   time.Time
	in      *inbox
	latency time.Duration
	max     int64
	reply   func(n int, p sentPack) *nats.Msg
	fail    func(n int, m *nats.Msg) error

	mu   sync.Mutex
	sent []sentPack
}

func ack() *nats.Msg      { return &nats.Msg{Data: []byte(`{"stream":"DLOG_IN","seq":7}`)} }
func dup() *nats.Msg      { return &nats.Msg{Data: []byte(`{"stream":"DLOG_IN","seq":7,"duplicate":true}`)} }
func noStream() *nats.Msg { return &nats.Msg{Header: nats.Header{"Status": {"503"}}} }
func fullErr() *nats.Msg {
	return &nats.Msg{Data: []byte(`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"DLOG_IN","seq":0}`)}
}

func (l *fakeLink) Publish(m *nats.Msg) error {
	l.mu.Lock()
	p := sentPack{at: time.Since(l.start), subject: m.Subject, reply: m.Reply, header: maps.Clone(m.Header), data: string(m.Data)}
	for k, v := range p.header {
		p.header[k] = append([]string(nil), v...)
	}
	n := len(l.sent) + 1
	if l.fail != nil {
		if err := l.fail(n, m); err != nil {
			l.mu.Unlock()
			return err
		}
	}
	l.sent = append(l.sent, p)
	l.mu.Unlock()
	answer := ack()
	if l.reply != nil {
		answer = l.reply(n, p)
	}
	if answer != nil {
		answer.Subject = m.Reply
		time.AfterFunc(l.latency, func() { l.in.acks <- answer })
	}
	return nil
}

func (l *fakeLink) MaxPayload() int64 { return l.max }
func (l *fakeLink) URL() string       { return "nats://fake" }
func (l *fakeLink) Inbox() string     { return "_INBOX.x." }
func (l *fakeLink) Events() *inbox    { return l.in }
func (l *fakeLink) Close()            {}

func (l *fakeLink) packs() []sentPack {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]sentPack(nil), l.sent...)
}

// rig is a transport over a fake link, in a bubble of fake time.
type rig struct {
	t     *testing.T
	link  *fakeLink
	tr    *Transport
	queue spool.Queue
	mu    sync.Mutex
	said  []string
}

// bubble runs f with a transport whose link answers after 1 ms.
func bubble(t *testing.T, set func(*rig, *Config), f func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, link: &fakeLink{start: time.Now(), latency: time.Millisecond, max: 1 << 20}}
		cfg := Config{Queue: spool.NewMemory(spool.Config{Bytes: 32 << 20}), Report: func(line string) {
			r.mu.Lock()
			r.said = append(r.said, line)
			r.mu.Unlock()
		}}
		cfg.setDefaults()
		if set != nil {
			set(r, &cfg)
		}
		r.queue = cfg.Queue
		r.tr = start(cfg, false, func(_ context.Context, wake func()) (link, error) {
			r.link.in = newInbox(wake)
			return r.link, nil
		})
		synctest.Wait()
		f(t, r)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var left *LeftError
		if err := r.tr.Close(ctx); err != nil && !errors.As(err, &left) {
			t.Errorf("close: %v", err)
		}
		r.queue.Close()
	})
}

func (r *rig) log(subject string, level entry.Level, line string) {
	r.t.Helper()
	r.logTo(subject, level, false, line)
}

func (r *rig) logTo(subject string, level entry.Level, task bool, line string) {
	r.t.Helper()
	f, err := r.tr.Reserve(subject, level, task, len(line)+1)
	if err != nil {
		r.t.Fatalf("reserve: %v", err)
	}
	f.Commit(copy(f.Line, line+"\n"))
}

func (r *rig) reports() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.said...)
}

// inOneFlight checks that no subject had two packs in flight, given that each publish
// of a new id follows the answer to the one before.
func inOneFlight(t *testing.T, packs []sentPack, latency time.Duration) {
	t.Helper()
	last := map[string]sentPack{}
	for _, p := range packs {
		if before, ok := last[p.subject]; ok && before.id() != p.id() && p.at < before.at+latency {
			t.Fatalf("%s: pack %s left at %v, %s at %v", p.subject, before.id(), before.at, p.id(), p.at)
		}
		last[p.subject] = p
	}
}

func lineCount(packs []sentPack) int {
	n := 0
	for _, p := range packs {
		n += strings.Count(p.data, "\n")
	}
	return n
}
