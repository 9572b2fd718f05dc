package sink

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Filter decides by an entry's subject and line; *cond.Where is one.
type Filter interface {
	Match(s subject.Subject, line []byte) bool
}

// errJump says that the consumer is not where this client thinks it is: it must be reset.
var errJump = errors.New("the consumer's sequence jumped")

// epochAgain is for how long entries of a new epoch may repeat what was stored in the one before: routers and clients that were
// rolled back with the stream send again what they find un-acked.
const epochAgain = time.Hour

// intake turns deliveries into the entries of batches. It is used by one goroutine.
type intake struct {
	spec    Spec
	where   Filter // nil takes everything
	dead    *deadLetters
	scan    Scanner
	subject subjects

	messages messages // of the stream, to see whether a gap is one; nil where nobody could ask
	reset    uint64   // where the consumer begins

	at       Committed // what is committed once the entries handed out so far are
	consumer uint64    // the consumer sequence of the last delivery
	again    uint64    // messages up to this one may have been delivered before
	note     string    // why a new epoch began, until its record is made

	counts counts
	open   *openGap // the last gap of the batch

	filtered uint64
}

// start sets the position that the first delivery follows.
func (in *intake) start(at Committed) {
	in.at = at
	in.counts = counts{whole: at.Whole || at.Seq == 0 && at.Epoch == 0, by: maps.Clone(at.Counts)}
}

// finish completes the entries of a batch and returns the position behind them.
func (in *intake) finish(entries []Entry) Committed {
	in.settle(entries)
	to := in.at
	to.Whole, to.Counts = in.counts.whole, in.counts.snapshot()
	return to
}

// settle writes the record of the last gap, now that packs behind it have been counted.
func (in *intake) settle(entries []Entry) {
	g := in.open
	if g == nil {
		return
	}
	in.open = nil
	if now := in.counts.missing(); now > g.missing {
		g.entries = now - g.missing
	}
	g.exact = !g.doubt && len(g.unheard) == 0
	entries[g.entry].Line = g.expired()
}

// take appends the entries of one delivery. Where the stream skips messages a gap record comes first. It returns errJump where the
// delivery does not follow the one before, and does nothing with one that is a repetition.
func (in *intake) take(ctx context.Context, to []Entry, d delivery) ([]Entry, error) {
	m := d.meta
	if m.Sequence.Consumer != in.consumer+1 {
		return to, fmt.Errorf("%w from %d to %d", errJump, in.consumer, m.Sequence.Consumer)
	}
	in.consumer++
	next, skip := in.at.next()
	if m.Sequence.Stream < next && m.NumDelivered > 1 {
		return to, nil // delivered again, after the ack wait
	}
	if m.Sequence.Stream < next {
		return to, fmt.Errorf("%w back to message %d", errJump, m.Sequence.Stream)
	}
	p, err := stream.DecodePack(d.msg.Subject, d.msg.Header, d.msg.Data, stream.Limits{})
	p.Seq, p.Time = m.Sequence.Stream, m.Timestamp.UTC()
	if p.Seq > next {
		skip = 0 // what was begun has expired
		if err := in.gone(ctx, next, p.Seq); err != nil {
			return to, err
		}
	}
	open := in.open
	to = in.missing(to, next, p)
	switch {
	case in.spec.Stream == streamDead:
		to, err = in.keep(to, deadEntry(d, p)), nil
	case err != nil:
		err = in.deadPack(ctx, d, p, err)
	default:
		to, err = in.lines(ctx, to, p, skip)
	}
	if err != nil {
		in.open = open
		return to, err
	}
	in.at = Committed{Seq: p.Seq, Time: p.Time, Epoch: in.at.Epoch, Since: in.at.Since}
	known := in.counts.add(p)
	if in.open != nil {
		in.open.add(p, known)
	}
	return to, nil
}

// gone checks that nothing from next to seq is there any more: it may also be that another client has reset the consumer.
func (in *intake) gone(ctx context.Context, next, seq uint64) error {
	if in.messages == nil {
		return nil
	}
	m, err := in.messages.GetMsg(ctx, next, jetstream.WithGetMsgSubject(">"))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("get message %d: %w", next, err)
	case m.Sequence < seq:
		return fmt.Errorf("%w: it skipped message %d", errJump, m.Sequence)
	}
	return nil
}

// missing appends the records of what is not there: a stream rolled back, messages expired.
func (in *intake) missing(to []Entry, next uint64, p stream.Pack) []Entry {
	if in.note == "" && p.Seq == next {
		return to
	}
	g := gap{ns: in.spec.Namespace, stream: in.spec.Stream, at: p.Time, first: next, last: p.Seq - 1}
	e := Entry{Subject: g.subject(), Seq: p.Seq - 1, Time: in.at.Time, Gap: true}
	if in.note != "" {
		e.Line = g.epoch(in.note, in.at.Epoch)
		to = append(to, e)
		in.note = ""
	}
	if p.Seq > next {
		in.settle(to)
		in.counts.whole = in.counts.whole && in.at.Seq > 0
		in.open = &openGap{gap: g, entry: len(to), missing: in.counts.missing(), unheard: in.counts.recent(in.at.Time), doubt: in.at.Seq == 0}
		e.Line = g.expired()
		to = append(to, e)
	}
	return to
}

// deadBytes is where the bad lines of a pack are divided into several dead letters.
const deadBytes = 512 << 10

// lines appends the entries of a pack. Its bad lines become one dead letter, or a few: one for each would let a single message of
// nothing but line ends hold up everything behind it.
func (in *intake) lines(ctx context.Context, to []Entry, p stream.Pack, skip int) ([]Entry, error) {
	again := p.Again || p.Seq <= in.again || !in.at.Since.IsZero() && p.Time.Before(in.at.Since.Add(epochAgain))
	i := -1
	bad := Entry{Subject: p.Subject, Seq: p.Seq, Time: p.Time}
	var why error // of the first line of bad
	for line := range stream.Lines(p.Data) {
		if i++; i < skip {
			continue
		}
		id, err := in.scan.Scan(line)
		if err == nil {
			to = in.keep(to, Entry{ID: id, Line: line, Subject: p.Subject, Seq: p.Seq, Time: p.Time, Index: i, Again: again})
			continue
		}
		if why != nil && len(bad.Line)+len(line) > deadBytes {
			if err := in.dead.publish(ctx, stream.ReasonJSON, bad, why); err != nil {
				return to, err
			}
			bad.Line, why = nil, nil
		}
		if why == nil {
			bad.Index, why = i, err
		} else {
			bad.Line = append(bad.Line, '\n')
		}
		bad.Line = append(bad.Line, line...)
	}
	if why != nil {
		return to, in.dead.publish(ctx, stream.ReasonJSON, bad, why)
	}
	return to, nil
}

// keep appends an entry that the sink's conditions let through. One whose subject cannot be read is always kept.
func (in *intake) keep(to []Entry, e Entry) []Entry {
	if in.where != nil {
		if subj, ok := in.subject.parse(e.Subject); ok && !in.where.Match(subj, e.Line) {
			in.filtered++
			return to
		}
	}
	return append(to, e)
}

// deadPack sends a whole message to the dead letters, as it came.
func (in *intake) deadPack(ctx context.Context, d delivery, p stream.Pack, err error) error {
	reason := stream.ReasonOf(err)
	if reason == "" {
		return err
	}
	return in.dead.publish(ctx, reason, Entry{Line: d.msg.Data, Subject: p.Subject, Seq: p.Seq, Time: p.Time}, err, d.msg.Header)
}

// subjects remembers the last subjects parsed: packs of a few subjects follow one another.
type subjects struct{ known map[string]parsed }

type parsed struct {
	subject subject.Subject
	ok      bool
}

const maxSubjects = 4096

func (s *subjects) parse(text string) (subject.Subject, bool) {
	if p, ok := s.known[text]; ok {
		return p.subject, p.ok
	}
	if s.known == nil || len(s.known) >= maxSubjects {
		s.known = make(map[string]parsed)
	}
	subj, err := subject.Parse(text)
	s.known[strings.Clone(text)] = parsed{subj, err == nil}
	return subj, err == nil
}

// headerRoom is what the headers and the subject of a dead letter may take beside its body.
const headerRoom = 8 << 10

// deadLetters publishes what cannot be stored.
type deadLetters struct {
	js   jetstream.JetStream
	spec Spec
	say  func(reason stream.Reason, e Entry, err error)
}

// publish stores an entry, or a whole message with its own headers, as a dead letter and waits for it. What a sink of the dead
// letters themselves cannot store stays where it is.
func (l *deadLetters) publish(ctx context.Context, reason stream.Reason, e Entry, cause error, own ...nats.Header) error {
	if l.spec.Stream == streamDead {
		l.say(reason, e, cause)
		return nil
	}
	m := nats.NewMsg(subject.Dead(l.spec.Namespace, string(reason), serviceOf(e.Subject)))
	for _, h := range own {
		for _, k := range []string{stream.HdrContentType, stream.HdrEncoding} {
			if v := h.Get(k); v != "" {
				m.Header.Set(k, headerText(v))
			}
		}
	}
	m.Data = e.Line
	if most := int(l.js.Conn().MaxPayload()) - headerRoom; most > 0 && len(m.Data) > most {
		m.Data = m.Data[:most]
		cause = fmt.Errorf("%w; cut to %d of %d bytes", cause, most, len(e.Line))
	}
	m.Header.Set(stream.HdrReason, string(reason)+": "+headerText(cause.Error()))
	m.Header.Set(stream.HdrSubject, e.Subject)
	m.Header.Set(stream.HdrSeq, fmt.Sprint(e.Seq))
	m.Header.Set(HdrSink, l.spec.Name)
	id := fmt.Sprintf("sink.%s.%d.%d.%d", l.spec.Name, e.Seq, e.Index, e.Time.UnixNano())
	if _, err := l.js.PublishMsg(ctx, m, jetstream.WithMsgID(id)); err != nil {
		return fmt.Errorf("publish dead letter %s: %w", m.Subject, err)
	}
	l.say(reason, e, cause)
	return nil
}

// HdrSink is set on the dead letters of a sink: its name.
const HdrSink = "Dlog-Sink"

// headerText makes one line of a text, of a bounded length.
func headerText(s string) string {
	const most = 500
	s = strings.ToValidUTF8(s[:min(len(s), most)], "?")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// serviceOf is the service in an entry's subject, "unknown" where that is no subject of dlog's.
func serviceOf(subj string) string {
	s, err := subject.Parse(subj)
	if err != nil || s.Service() == "" {
		return "unknown"
	}
	return s.Service()
}
