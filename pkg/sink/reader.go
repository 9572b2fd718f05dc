package sink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// How the consumer is read. Only a pull request that names the pin renews it (measured, nats-server 2.15.2), so requests expire well
// before the pin does and a reader that has no room asks for nothing but still asks.
const (
	group       = "dlog"          // the consumer's one priority group
	pinTTL      = 2 * time.Second // how long a dead active client is waited for
	pullExpiry  = time.Second
	pullBatch   = 256
	holdEvery   = 500 * time.Millisecond
	maxInHand   = 32 << 20 // bytes read and not yet committed
	ackPending  = 1024     // messages delivered and not yet acked, a bound the server keeps
	headerPin   = "Nats-Pin-Id"
	headerState = "Status"
)

// delivery is a message with what its ack subject says.
type delivery struct {
	msg  *nats.Msg
	meta *nats.MsgMetadata
}

// reader pulls messages of one consumer into memory, so that the pin is kept whatever its user does. One goroutine reads, another
// one takes; stop waits for the former.
type reader struct {
	nc      *nats.Conn
	subject string // of pull requests
	sub     *nats.Subscription
	in      chan *nats.Msg
	more    chan struct{} // a delivery or an error came in
	room    chan struct{} // bytes were released
	cancel  context.CancelFunc
	done    chan struct{}

	// Owned by the reading goroutine.
	asked  int       // messages that the pending request may still bring
	until  time.Time // when it is given up
	pauses bool      // the pending request only holds the pin

	mu    sync.Mutex
	pin   string
	buf   []delivery
	bytes int // in buf and taken, not yet released
	err   error
	hold  bool
}

// startReader begins to pull, with the pin of the reader before it, if any. With hold it takes no messages but keeps the pin.
func startReader(nc *nats.Conn, stream, consumer, pin string, hold bool) (*reader, error) {
	r := &reader{
		nc: nc, subject: "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer, pin: pin, hold: hold,
		// Never more than one request is pending, and each brings its messages and at most one status; requests that were
		// given up after an outage may still bring theirs.
		in:   make(chan *nats.Msg, 8*pullBatch),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1), done: make(chan struct{}),
	}
	sub, err := nc.ChanSubscribe(nc.NewInbox(), r.in)
	if err != nil {
		return nil, fmt.Errorf("subscribe for %s: %w", consumer, err)
	}
	r.sub = sub
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go r.run(ctx)
	return r, nil
}

// stop ends the reading and waits for it. The server has been told when it returns, unless the connection is down.
func (r *reader) stop() {
	r.cancel()
	<-r.done
}

func (r *reader) run(ctx context.Context) {
	defer close(r.done)
	defer func() { _ = r.sub.Unsubscribe() }() // fails on a closed connection, where there is nothing left to do
	status := r.nc.StatusChanged(nats.CONNECTED)
	defer r.nc.RemoveStatusListener(status)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if r.asked == 0 {
			if err := r.ask(); err != nil {
				r.fail(err)
				return
			}
		}
		timer.Reset(time.Until(r.until))
		select {
		case <-ctx.Done():
			return
		case m := <-r.in:
			if err := r.handle(m); err != nil {
				r.fail(err)
				return
			}
		case <-status:
			// Whatever this server is, it may not be the one that was there: the stream may be an older copy.
			r.fail(errReconnected)
			return
		case <-timer.C:
			r.asked = 0
		case <-r.room:
			if r.pauses {
				r.asked = 0
			}
		}
	}
}

// request is the body of $JS.API.CONSUMER.MSG.NEXT (ADR-13, ADR-42 of nats-architecture-and-design).
type request struct {
	Expires  time.Duration `json:"expires"`
	Batch    int           `json:"batch"`
	MaxBytes int           `json:"max_bytes,omitempty"`
	Group    string        `json:"group"`
	ID       string        `json:"id,omitempty"`
}

func (r *reader) ask() error {
	if r.nc.IsClosed() {
		return nats.ErrConnectionClosed
	}
	r.mu.Lock()
	q := request{Expires: pullExpiry, Batch: pullBatch, Group: group, ID: r.pin, MaxBytes: maxInHand - r.bytes}
	r.pauses = r.hold || q.MaxBytes <= 0
	r.mu.Unlock()
	wait := pullExpiry + time.Second
	if r.pauses {
		// No message is this small: the request renews the pin and brings nothing.
		q.Batch, q.MaxBytes, wait = 1, 1, holdEvery
	}
	body, err := json.Marshal(q)
	if err != nil {
		return fmt.Errorf("encode pull request: %w", err)
	}
	r.asked, r.until = q.Batch, time.Now().Add(wait)
	if err := r.nc.PublishRequest(r.subject, r.sub.Subject, body); err != nil && !errors.Is(err, nats.ErrReconnectBufExceeded) {
		return fmt.Errorf("pull: %w", err)
	}
	return nil
}

// handle keeps a message, or understands a status.
func (r *reader) handle(m *nats.Msg) error {
	if status := m.Header.Get(headerState); status != "" && len(m.Data) == 0 && m.Reply == "" {
		return r.status(status, m.Header.Get("Description"))
	}
	meta, err := m.Metadata()
	if err != nil {
		return fmt.Errorf("read ack subject %q: %w", m.Reply, err)
	}
	r.asked = max(0, r.asked-1)
	r.mu.Lock()
	if pin := m.Header.Get(headerPin); pin != "" {
		r.pin = pin
	}
	r.buf = append(r.buf, delivery{m, meta})
	r.bytes += m.Size()
	r.mu.Unlock()
	wake(r.more)
	return nil
}

func (r *reader) status(code, text string) error {
	if r.pauses && code != "423" {
		return nil // the next request comes when its time is over
	}
	r.asked = 0
	switch code {
	case "404", "408":
	case "409":
		if text == "Consumer Deleted" || text == "Consumer is push based" {
			return fmt.Errorf("pull: %s", text)
		}
		// Most often the next message is larger than the room that is left: asking again at once would not help.
		r.asked, r.pauses, r.until = 1, true, time.Now().Add(holdEvery)
	case "423": // another client has the pin
		r.mu.Lock()
		r.pin = ""
		r.mu.Unlock()
	case "503":
		return errNoConsumer
	default:
		return fmt.Errorf("pull: status %s %s", code, text)
	}
	return nil
}

// errReconnected says that the connection was lost and is there again.
var errReconnected = errors.New("the connection was lost for a while")

// errNoConsumer says that nobody answers for the consumer: it was deleted, or its server is not up yet.
var errNoConsumer = errors.New("pull: no consumer answers")

func (r *reader) fail(err error) {
	r.mu.Lock()
	r.err = err
	r.mu.Unlock()
	wake(r.more)
}

// take removes what has been read, up to the bounds but at least one message. Its bytes count until they are released.
func (r *reader) take(maxMsgs, maxBytes int) ([]delivery, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, size := 0, 0
	for n < len(r.buf) && n < maxMsgs && (n == 0 || size+r.buf[n].msg.Size() <= maxBytes) {
		size += r.buf[n].msg.Size()
		n++
	}
	out := slices.Clone(r.buf[:n])
	clear(r.buf[:n])
	if r.buf = r.buf[n:]; len(r.buf) == 0 {
		r.buf = nil
	} else {
		wake(r.more)
	}
	if n == 0 {
		return nil, r.err
	}
	return out, nil
}

// release gives the room of taken messages back.
func (r *reader) release(ds []delivery) {
	n := 0
	for _, d := range ds {
		n += d.msg.Size()
	}
	r.mu.Lock()
	r.bytes -= n
	r.mu.Unlock()
	wake(r.room)
}

// waiting is the number of messages and their bytes not yet taken.
func (r *reader) waiting() (msgs, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range r.buf {
		bytes += d.msg.Size()
	}
	return len(r.buf), bytes
}

// pinned returns the pin that this client holds, as far as it knows.
func (r *reader) pinned() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pin
}

// wake puts a token into a channel of capacity one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
