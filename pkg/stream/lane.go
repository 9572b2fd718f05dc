package stream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A Lane is the way into one stream. It holds what was sent until it is stored; how much that may be is the caller's to bound.
type Lane struct {
	p      *Publisher
	stream string
	reply  string // prefix of reply subjects
	stored string // how the answer to a stored message begins

	mu      sync.Mutex // guards what follows; never held while an Owner is called
	next    uint64
	waiting []*Delivery // not yet published, in order
	retry   []*Delivery // refused or unanswered, by number
	flight  map[uint64]*Delivery
	bytes   int // in flight
	fails   int // refusals in a row
	until   time.Time
	since   time.Time // first refusal in a row; zero while all is well
	err     error     // the last refusal
}

// Stream is the JetStream name of the lane's stream.
func (l *Lane) Stream() string { return l.stream }

// Send takes a message for the stream. It never waits.
func (l *Lane) Send(d *Delivery) {
	d.size = len(d.Msg.Data) + 256 // headers and subject, about
	l.mu.Lock()
	l.next++
	d.number = l.next
	l.waiting = append(l.waiting, d)
	lost := l.pump(time.Now())
	l.mu.Unlock()
	giveUp(lost)
}

// TakeBack returns what the lane has not published, or published and seen refused, but for the first message: that one goes on
// asking whether the stream takes anything. The lane forgets what it returns; their owners hear nothing.
func (l *Lane) TakeBack() (back []*Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	keep := 1
	if len(l.flight) > 0 {
		keep = 0
	}
	n := min(keep, len(l.retry))
	back = append(back, l.retry[n:]...)
	l.retry = slices.Clone(l.retry[:n])
	n = min(keep-n, len(l.waiting))
	back = append(back, l.waiting[n:]...)
	l.waiting = slices.Clone(l.waiting[:n])
	return back
}

// Waiting is how many messages are not stored yet.
func (l *Lane) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting) + len(l.retry) + len(l.flight)
}

// Refusing tells since when, and why, the stream has taken nothing; the zero time says that all is well. A stream
// that merely has not answered yet is not refusing.
func (l *Lane) Refusing() (since time.Time, why error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.since, l.err
}

// failed pairs a delivery with the reason for which no repeat can help.
type failed struct {
	d   *Delivery
	err error
}

func giveUp(all []failed) {
	for _, f := range all {
		f.d.Owner.Done(f.d, false, f.err)
	}
}

// pump publishes what the window allows. While the stream refuses, one message at a time asks whether it still does.
func (l *Lane) pump(now time.Time) (lost []failed) {
	if now.Before(l.until) {
		return nil
	}
	window := l.p.cfg.Window
	if l.fails > 0 {
		window = 1
	}
	for len(l.flight) < window && (l.bytes < l.p.cfg.WindowBytes || len(l.flight) == 0) {
		d := l.take()
		if d == nil {
			return lost
		}
		if err := l.publish(d, now); permanent(err) {
			lost = append(lost, failed{d, err})
		} else if err != nil {
			l.refused(d, err, now)
			return lost
		}
	}
	return lost
}

// take removes the next message to publish: those to repeat come first.
func (l *Lane) take() *Delivery {
	from := &l.retry
	if len(*from) == 0 {
		from = &l.waiting
	}
	if len(*from) == 0 {
		return nil
	}
	d := (*from)[0]
	(*from)[0] = nil
	if *from = (*from)[1:]; len(*from) == 0 {
		*from = nil // lets the array go
	}
	return d
}

func (l *Lane) publish(d *Delivery, now time.Time) error {
	if d.first.IsZero() {
		d.first = now
	} else if now.Sub(d.first) > DuplicateWindow/2 {
		if d.Msg.Header == nil {
			d.Msg.Header = nats.Header{}
		}
		setHeader(d.Msg.Header, HdrAgain, "1")
	}
	d.sent = now
	var buf [96]byte
	d.Msg.Reply = string(strconv.AppendUint(append(buf[:0], l.reply...), d.number, 36))
	if err := l.p.nc.PublishMsg(d.Msg); err != nil {
		return err
	}
	l.flight[d.number] = d
	l.bytes += d.size
	return nil
}

// permanent reports errors that a repeat cannot heal: the message is not fit for this server.
func permanent(err error) bool {
	return errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, nats.ErrBadSubject) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum)
}

// refused puts a message back and waits longer after each refusal in a row, up to 2 s.
func (l *Lane) refused(d *Delivery, err error, now time.Time) {
	at, _ := slices.BinarySearchFunc(l.retry, d, func(a, b *Delivery) int { return int(int64(a.number) - int64(b.number)) })
	l.retry = slices.Insert(l.retry, at, d)
	l.err = err
	if l.since.IsZero() {
		l.since = now
	}
	if now.Before(l.until) {
		return // one of many that were in flight: it counts once
	}
	wait := min(50*time.Millisecond<<min(l.fails, 6), 2*time.Second)
	l.until = now.Add(wait/2 + rand.N(wait))
	l.fails++
}

// tick puts back what was not answered in time and publishes what has waited long enough.
func (l *Lane) tick(now time.Time, wait time.Duration) {
	l.mu.Lock()
	for number, d := range l.flight {
		if now.Sub(d.sent) > wait {
			l.land(number, d)
			l.refused(d, fmt.Errorf("stream %s: no answer for %v", l.stream, wait), now)
		}
	}
	lost := l.pump(now)
	l.mu.Unlock()
	giveUp(lost)
}

func (l *Lane) land(number uint64, d *Delivery) {
	delete(l.flight, number)
	l.bytes -= d.size
}

// answer handles the server's reply to message number.
func (l *Lane) answer(number uint64, m *nats.Msg) {
	duplicate, err := l.parse(m)
	now := time.Now()
	l.mu.Lock()
	d := l.flight[number]
	if d == nil {
		d = l.unretry(number, err) // it came after we had given up waiting
	} else {
		l.land(number, d)
	}
	if d == nil {
		l.mu.Unlock()
		return
	}
	final := err == nil || permanent(err)
	if final {
		l.fails, l.since, l.err, l.until = 0, time.Time{}, nil, time.Time{}
	} else {
		l.refused(d, err, now)
	}
	lost := l.pump(now)
	l.mu.Unlock()
	if final {
		d.Owner.Done(d, duplicate, err)
	}
	giveUp(lost)
}

// unretry takes a message that is waiting to be repeated out again when its answer says that it is stored after all.
func (l *Lane) unretry(number uint64, err error) *Delivery {
	if err != nil {
		return nil
	}
	i := slices.IndexFunc(l.retry, func(d *Delivery) bool { return d.number == number })
	if i < 0 {
		return nil
	}
	d := l.retry[i]
	l.retry = slices.Delete(l.retry, i, i+1)
	return d
}

// pubAck is JetStream's answer to a message (ADR-1, io.nats.jetstream.api.v1.pub_ack_response).
type pubAck struct {
	Stream    string              `json:"stream"`
	Duplicate bool                `json:"duplicate"`
	Error     *jetstream.APIError `json:"error"`
}

// duplicateMark is in the answer to a repeat only; servers put blanks around the value as they like.
var duplicateMark = []byte(`"duplicate"`)

// parse reads an answer. The usual one is recognized by its beginning.
func (l *Lane) parse(m *nats.Msg) (duplicate bool, err error) {
	if len(m.Data) > len(l.stored) && string(m.Data[:len(l.stored)]) == l.stored {
		return bytes.Contains(m.Data[len(l.stored):], duplicateMark), nil
	}
	if len(m.Data) == 0 {
		return false, fmt.Errorf("stream %s: %w", l.stream, jetstream.ErrNoStreamResponse)
	}
	var ack pubAck
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return false, fmt.Errorf("stream %s: answer not understood: %w", l.stream, err)
	}
	if ack.Error != nil {
		return false, fmt.Errorf("stream %s: %w", l.stream, ack.Error)
	}
	if ack.Stream != l.stream {
		return false, fmt.Errorf("stream %s: the message went into stream %s instead", l.stream, ack.Stream)
	}
	return ack.Duplicate, nil
}
