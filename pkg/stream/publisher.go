package stream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A Delivery is one message on its way into a stream. Msg and Owner are the caller's to set; the message belongs to the
// publisher until Owner.Done.
type Delivery struct {
	Msg   *nats.Msg
	Owner Owner
	Tag   int // the caller's

	number uint64    // order of Send, within the lane; the token of its reply subject
	first  time.Time // first publish; zero before
	sent   time.Time // last publish
	size   int
}

// An Owner is told what became of a Delivery, once: err is nil when it is stored (duplicate: it already was, so the server
// dropped it) and otherwise says why no repeat can help. It is called by a goroutine of the publisher and must not wait.
type Owner interface {
	Done(d *Delivery, duplicate bool, err error)
}

// PublisherConfig bounds a Publisher. Zero fields mean the defaults.
type PublisherConfig struct {
	// Window is how many messages per stream may be un-acked; 0 means 1024. A server drops what it is sent beyond
	// 100,000 messages or 128 MiB per stream.
	Window int
	// WindowBytes bounds the same in bytes; 0 means 16 MiB.
	WindowBytes int
	// AckWait is how long an answer may take before the message is sent again; 0 means 5 s.
	AckWait time.Duration
}

// A Publisher stores messages in streams: many at a time, each repeated under its id until it is stored. A repeat that the
// server's duplicate window may no longer recognize carries HdrAgain. Messages of one lane are first published in the order of Send; a repeat
// comes later than what was stored meanwhile. Its methods may be called from any goroutine.
//
// The connection should be made with nats.ReconnectBufSize(-1): the publisher keeps what is not stored itself.
type Publisher struct {
	nc    *nats.Conn
	cfg   PublisherConfig
	inbox string // with a final "."
	sub   *nats.Subscription

	mu    sync.RWMutex // guards lanes; taken before a lane's own mutex
	lanes []*Lane

	stop context.CancelFunc
	done chan struct{}
}

// NewPublisher makes a publisher on a connection that stays the caller's.
func NewPublisher(nc *nats.Conn, cfg PublisherConfig) (*Publisher, error) {
	cfg.Window = positive(cfg.Window, 1024)
	cfg.WindowBytes = positive(cfg.WindowBytes, 16<<20)
	cfg.AckWait = positive(cfg.AckWait, 5*time.Second)
	p := &Publisher{nc: nc, cfg: cfg, inbox: nc.NewInbox() + ".", done: make(chan struct{})}
	var err error
	p.sub, err = nc.Subscribe(p.inbox+"*.*", p.answer)
	if err != nil {
		return nil, fmt.Errorf("subscribe to acks: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go p.repeat(ctx)
	return p, nil
}

func positive[T int | time.Duration](v, fallback T) T {
	if v > 0 {
		return v
	}
	return fallback
}

// Lane makes the way into the stream with this JetStream name. Lanes do not wait for one another.
func (p *Publisher) Lane(stream string) *Lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := &Lane{
		p: p, stream: stream, reply: p.inbox + strconv.Itoa(len(p.lanes)) + ".",
		stored: `{"stream":"` + stream + `","seq":`, flight: map[uint64]*Delivery{},
	}
	p.lanes = append(p.lanes, l)
	return l
}

// Close stops repeating and listening, and waits for its goroutine. What is not stored stays so, and its owner hears nothing.
func (p *Publisher) Close() {
	p.stop()
	<-p.done
	if err := p.sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		return // a subscription that is gone already
	}
}

// repeatEvery is how often waiting messages are looked at. It is also the finest grain of back-off.
const repeatEvery = 50 * time.Millisecond

func (p *Publisher) repeat(ctx context.Context) {
	defer close(p.done)
	t := time.NewTicker(repeatEvery)
	defer t.Stop()
	connects := p.nc.Stats().Reconnects
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-t.C:
			wait := p.cfg.AckWait
			if n := p.nc.Stats().Reconnects; n != connects {
				connects, wait = n, repeatEvery // answers to what was on its way are lost
			}
			p.mu.RLock()
			lanes := p.lanes
			p.mu.RUnlock()
			for _, l := range lanes {
				l.tick(now, wait)
			}
		}
	}
}

// answer handles a server's reply to one message.
func (p *Publisher) answer(m *nats.Msg) {
	lane, token, ok := strings.Cut(strings.TrimPrefix(m.Subject, p.inbox), ".")
	i, err := strconv.Atoi(lane)
	number, err2 := strconv.ParseUint(token, 36, 64)
	if !ok || err != nil || err2 != nil {
		return // not one of ours
	}
	p.mu.RLock()
	var l *Lane
	if i >= 0 && i < len(p.lanes) {
		l = p.lanes[i]
	}
	p.mu.RUnlock()
	if l != nil {
		l.answer(number, m)
	}
}
