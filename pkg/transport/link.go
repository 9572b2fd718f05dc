package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"regexp"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A link is a connection, which reconnects by itself until it is closed. Its methods
// are called by the sender's goroutine alone.
type link interface {
	Publish(m *nats.Msg) error
	MaxPayload() int64
	URL() string    // without secrets
	Inbox() string  // prefix of reply subjects
	Events() *inbox // what comes back
	Close()
}

// A dialer makes a link. Cancelling ctx also ends the link's reads and writes.
type dialer func(ctx context.Context, wake func()) (link, error)

const (
	dialTimeout  = 2 * time.Second
	writeTimeout = 2 * time.Second  // how long a stalled server holds the sender in one publish
	pingEvery    = 10 * time.Second // a dead peer is noticed after three
	ackRoom      = 4 * maxPacks     // answers that may wait; more would be dropped, and the packs resent
)

// inbox is where the connection's goroutines leave what the sender should know.
type inbox struct {
	acks chan *nats.Msg // filled by the connection's reader; needs no goroutine
	wake func()

	mu     sync.Mutex // guards what follows
	news   news
	closed bool
}

// news is what happened since the sender looked.
type news struct {
	changed bool     // connected or disconnected
	up      bool     // the last of these
	trouble error    // why it is not connected
	denied  []string // subjects that may not be published to
	noInbox bool     // the inbox may not be subscribed to
	other   error
}

const maxDenied = 1024

func newInbox(wake func()) *inbox { return &inbox{acks: make(chan *nats.Msg, ackRoom), wake: wake} }

func (in *inbox) tell(f func(n *news)) {
	in.mu.Lock()
	f(&in.news)
	in.mu.Unlock()
	in.wake()
}

func (in *inbox) take() (n news, closed bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	n, in.news = in.news, news{}
	return n, in.closed
}

func (in *inbox) state(up bool) {
	in.tell(func(n *news) { n.changed, n.up = true, up })
}

func (in *inbox) end() {
	in.mu.Lock()
	in.closed = true
	in.mu.Unlock()
	in.wake()
}

// natsLink is the real one.
type natsLink struct {
	nc     *nats.Conn
	in     *inbox
	prefix string
}

func (l *natsLink) Publish(m *nats.Msg) error { return l.nc.PublishMsg(m) }
func (l *natsLink) MaxPayload() int64         { return l.nc.MaxPayload() }
func (l *natsLink) URL() string               { return redact(l.nc.ConnectedUrl()) }
func (l *natsLink) Inbox() string             { return l.prefix }
func (l *natsLink) Events() *inbox            { return l.in }
func (l *natsLink) Close()                    { l.nc.Close() }

func natsDialer(cfg Config, opts []nats.Option) dialer {
	return func(ctx context.Context, wake func()) (link, error) {
		in := newInbox(wake)
		d := &netDialer{ctx: ctx}
		nc, err := nats.Connect(cfg.URL, append(connOptions(cfg.Name, in, d), opts...)...)
		if err != nil {
			return nil, d.explain(err)
		}
		l := &natsLink{nc: nc, in: in, prefix: nc.NewInbox() + "."}
		if _, err := nc.ChanSubscribe(l.prefix+"*", in.acks); err != nil {
			nc.Close()
			return nil, fmt.Errorf("subscribe to answers: %w", err)
		}
		return l, nil
	}
}

// connOptions make the connection one that never gives up and never keeps what it
// could not send: the sender does that, and better.
func connOptions(name string, in *inbox, d *netDialer) []nats.Option {
	return []nats.Option{
		nats.Name(name),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // rights may be given later
		nats.ReconnectBufSize(-1),
		nats.CustomReconnectDelay(redial),
		nats.Timeout(dialTimeout),
		nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.SkipSubjectValidation(), // wireSubject has seen to it
		nats.SkipHostLookup(),        // the dialer's own look-up can be cancelled
		nats.SetCustomDialer(d),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { in.state(false) }),
		nats.ReconnectHandler(func(*nats.Conn) { in.state(true) }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { in.tell(func(n *news) { n.trouble = short(err) }) }),
		nats.ClosedHandler(func(*nats.Conn) { in.end() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { in.fault(err) }),
	}
}

var deniedSubject = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]*)"`)

// fault takes an error that belongs to no call. A refused subject is only told here.
func (in *inbox) fault(err error) {
	in.tell(func(n *news) {
		m := deniedSubject.FindStringSubmatch(err.Error())
		switch {
		case m != nil && (m[1] == "Publish" || m[1] == "publish"):
			if len(n.denied) < maxDenied {
				n.denied = append(n.denied, m[2])
			}
		case m != nil:
			n.noInbox = true
		case errors.Is(err, nats.ErrSlowConsumer): // an answer was dropped: the pack is resent
		case isNet(err): // the connection is lost, which is told for itself
		case isAuth(err):
			n.trouble = err
		default:
			n.other = err
		}
	})
}

func isAuth(err error) bool {
	return errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) ||
		errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired)
}

func isNet(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, nats.ErrStaleConnection)
}

// netDialer dials for nats.go, so that a close can end a dial, a read and a write.
type netDialer struct {
	ctx context.Context

	mu   sync.Mutex // guards last
	last error      // why the last dial failed: nats.go says "no servers" only
}

// Dial implements nats.CustomDialer.
func (d *netDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	d.mu.Lock()
	d.last = err
	d.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return &abortConn{Conn: conn, stop: context.AfterFunc(d.ctx, func() { conn.Close() })}, nil
}

func (d *netDialer) explain(err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if errors.Is(err, nats.ErrNoServers) && d.last != nil {
		return short(d.last)
	}
	return short(err)
}

// short leaves out the addresses that net repeats: the line names the URL already.
func short(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return op.Err
	}
	return err
}

// abortConn is closed when the transport is.
type abortConn struct {
	net.Conn
	stop func() bool
}

func (c *abortConn) Close() error {
	c.stop()
	return c.Conn.Close()
}

// redial is the rest before the n-th try to connect: short enough that a router that
// is back in a second is found in one more, longer where none seems to come.
func redial(n int) time.Duration {
	if n < 60 {
		return backoff(n, 50*time.Millisecond, time.Second)
	}
	return backoff(n, 50*time.Millisecond, 5*time.Second)
}

// backoff is first, doubled n-1 times up to most, less up to half by chance: many
// processes that lost one server shall not come back as one.
func backoff(n int, first, most time.Duration) time.Duration {
	d := first << min(max(n-1, 0), 16)
	d = min(d, most)
	return d - rand.N(d/2+1)
}
