package transport

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

const (
	maxPack    = 256 << 10       // bytes of a pack's lines
	fullPack   = maxPack * 3 / 4 // a subject with as much does not wait for the clock
	maxUnacked = 4 << 20         // bytes in flight, of all subjects
	maxPacks   = 1024            // packs in flight
	headerRoom = 512             // of the server's max payload, for a pack's headers

	// againAfter is half of the stream's duplicate window: beyond it a resend says
	// that it is one, whatever else is known.
	againAfter = 10 * time.Second

	firstWait = 2 * time.Second // for an answer
	mostWait  = 30 * time.Second
	firstRest = 100 * time.Millisecond // after a refusal
	mostRest  = 2 * time.Second
)

// A pack is fixed: what it holds never changes.
type pack struct {
	id    uint64 // of this process, in reply subjects
	fixed spool.Pack
	subj  *subj
	msgID string
	size  int

	first, last int32 // refs; none for a pack of an earlier run
	pending     bool  // of an earlier run
	unsure      bool  // a copy may have been stored
	publishes   int
	refusals    int   // of the first publishes in a row, so that unsure can be told
	firstAt     int64 // first publish, in the sender's time
	retryAt     int64
	waits       int // answers awaited in vain, and refusals
	failure     *failure
}

// again says whether a publish at t must be marked. All that a dead process left is: a
// power loss may have taken its journal with it.
func (p *pack) again(t int64) bool {
	return p.pending || p.subj.src.adopted() || p.publishes > 0 && (p.unsure || t-p.firstAt >= int64(againAfter))
}

// packID is the id under which every copy of a pack is sent.
func packID(key string, p spool.Pack) string {
	b := make([]byte, 0, 64)
	b = append(append(b, key...), '.')
	b = append(strconv.AppendUint(b, p.Number, 10), '.')
	return string(hex.AppendEncode(b, binary.BigEndian.AppendUint32(nil, p.CRC)))
}

// form takes the oldest gathered lines of a subject, fixes them as a pack and leaves
// their bytes in s.body. It fails only where the queue's journal does.
func (s *sender) form(sj *subj) (*pack, error) {
	limit := s.limit
	body := s.body[:0]
	var crc uint32
	last, count := int32(0), 0
	next := sj.first
	for next != 0 {
		r := &s.refs.all[next]
		if count > 0 && len(body)+len(r.line) > limit {
			break
		}
		body = append(body, r.line...)
		crc = spool.Checksum(crc, r.line)
		last, next = next, r.next
		count++
	}
	s.body = body
	src := sj.src
	fixed := spool.Pack{
		Number: src.number + 1, Subject: sj.name, Count: count, CRC: crc, At: time.Now().UnixNano(),
		First: s.refs.all[sj.first].at, Last: s.refs.all[last].at,
	}
	if err := src.q.Fix(fixed); err != nil {
		return nil, err
	}
	src.number++
	p := &pack{fixed: fixed, subj: sj, size: len(body), first: sj.first, last: last}
	s.refs.all[last].next = 0
	sj.first, sj.bytes = next, sj.bytes-p.size
	s.gathered -= int64(p.size)
	s.unacked += int64(p.size)
	if next == 0 {
		sj.last = 0
	}
	return p, nil
}

// reform leaves the bytes of a pack in s.body: the same each time.
func (s *sender) reform(p *pack) (err error) {
	if p.first == 0 {
		s.body, err = p.subj.src.q.Bytes(p.fixed, s.body[:0])
		if err == nil && p.size == 0 {
			p.size = len(s.body)
			s.unacked += int64(p.size)
		}
		return err
	}
	s.body = s.body[:0]
	for i := p.first; i != 0; i = s.refs.all[i].next {
		s.body = append(s.body, s.refs.all[i].line...)
	}
	return nil
}

// launch puts a pack in flight under its id.
func (s *sender) launch(p *pack) {
	s.nextID++
	p.id = s.nextID
	p.msgID = packID(p.subj.src.q.Key(), p.fixed)
	p.subj.inFlight = p
	s.packs[p.id] = p
	s.weigh(p.subj)
}

// publish sends s.body, which holds the pack's bytes, and says when to look again.
func (s *sender) publish(p *pack, t int64) {
	body := s.body
	if limit := s.limit; len(body) > limit && p.fixed.Count == 1 {
		s.cut = entry.CutLine(s.cut[:0], body, limit)
		body = s.cut
	}
	out := stream.Pack{Subject: p.subj.wire, ID: p.msgID, Data: body, Count: p.fixed.Count, Again: p.again(t), Encoding: s.cfg.Encoding}
	out.Msg(&s.msg)
	s.reply = appendReply(append(s.reply[:0], s.link.Inbox()...), p.id, p.publishes+1)
	s.msg.Reply = string(s.reply)
	if err := s.link.Publish(&s.msg); err != nil {
		s.notSent(p, err, t)
		return
	}
	s.countPublish(p, t)
	p.retryAt = t + int64(firstWait<<min(p.waits, 4))
	p.retryAt = min(p.retryAt, t+int64(mostWait)) + rand.Int64N(int64(firstWait)/4)
	s.retryAt = min(s.retryAt, p.retryAt)
}

func (s *sender) countPublish(p *pack, t int64) {
	if p.publishes == 0 {
		p.firstAt = t
		s.local.Packs++
		s.local.Sent += uint64(p.fixed.Count)
	} else {
		s.local.Resends++
	}
	p.publishes++
	p.unsure = true
}

// notSent is a publish that the connection did not take. While it is away the pack
// waits for its return; an error of the socket may have let a part through.
func (s *sender) notSent(p *pack, err error, t int64) {
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed):
		s.up = false
	case errors.Is(err, nats.ErrMaxPayload):
		s.askLimit()
		s.meet(p, "payload", fmt.Sprintf("%s takes messages of at most %d bytes, a waiting pack has %d: raise its max_payload",
			s.local.URL, s.link.MaxPayload(), len(s.msg.Data)), t)
	case isNet(err):
		s.countPublish(p, t)
	default:
		s.countPublish(p, t)
		s.meet(p, "publish", fmt.Sprintf("cannot publish to %s: %v", s.local.URL, short(err)), t)
	}
	s.postpone(p, t, mostRest)
}

// postpone tries a pack again after a rest that grows up to most.
func (s *sender) postpone(p *pack, t int64, most time.Duration) {
	p.waits++
	p.retryAt = t + int64(backoff(p.waits, firstRest, most))
	s.retryAt = min(s.retryAt, p.retryAt)
}

// resend publishes the packs whose time has come.
func (s *sender) resend(t int64) {
	if !s.up || t < s.retryAt {
		return
	}
	s.retryAt = never
	for _, p := range s.packs {
		if !s.up {
			s.retryAt = min(s.retryAt, p.retryAt)
			continue
		}
		if t < p.retryAt {
			s.retryAt = min(s.retryAt, p.retryAt)
			continue
		}
		s.republish(p, t)
	}
}

func (s *sender) republish(p *pack, t int64) {
	if p.publishes > 0 && p.refusals < p.publishes {
		p.waits++
		if p.waits > 1 && p.failure == nil {
			s.meet(p, "silent", s.local.URL+" does not answer", t)
		}
	}
	if err := s.reform(p); err != nil {
		s.meet(p, "reform", fmt.Sprintf("cannot read a pack of an earlier run back (%s): %v", p.subj.src.q.Where(), err), t)
		p.retryAt = t + int64(mostWait)
		s.retryAt = min(s.retryAt, p.retryAt)
		return
	}
	s.publish(p, t)
}

// answer takes one reply.
func (s *sender) answer(m *nats.Msg, t int64) {
	id, publish, ok := parseReply(m.Subject, s.link.Inbox())
	p := s.packs[id]
	if !ok || p == nil {
		return // of a pack that is done
	}
	switch v, err := readReply(m); {
	case v == duplicate && publish == 1 && !p.pending:
		s.rename(p, t)
	case v == stored || v == duplicate:
		s.finish(p, t)
	default:
		if v == refused && publish == p.refusals+1 {
			p.refusals++
			p.unsure = p.refusals < p.publishes
		}
		s.meet(p, "answer "+err.Error(), fmt.Sprintf("%s: %v", s.local.URL, err), t)
		if publish == p.publishes { // an older copy's refusal leaves the newer's time alone
			s.postpone(p, t, mostRest)
		}
	}
}

// rename sends a pack under a new id. Nobody but the server has seen the id when its
// first copy is answered "duplicate": somebody else published under it, to make the
// server drop ours. If it was a copy of ours that came first after all, the mark tells.
func (s *sender) rename(p *pack, t int64) {
	s.local.Duplicates++
	delete(s.packs, p.id)
	s.nextID++
	p.id = s.nextID
	s.packs[p.id] = p
	p.msgID = fmt.Sprintf("%s.%08x", packID(p.subj.src.q.Key(), p.fixed), rand.Uint32())
	p.unsure = true
	if err := s.reform(p); err != nil {
		s.postpone(p, t, mostRest)
		return
	}
	s.publish(p, t)
}

// finish forgets a stored pack and lets its subject send again.
func (s *sender) finish(p *pack, t int64) {
	sj := p.subj
	src := sj.src
	src.q.Acked(p.fixed.Number)
	s.local.Acked += uint64(p.fixed.Count)
	src.held -= min(src.held, uint64(p.fixed.Count))
	if p.pending {
		src.pending--
	}
	s.unacked -= int64(p.size)
	s.refs.drop(p.first)
	delete(s.packs, p.id)
	s.reports.part(p, t)
	sj.inFlight = nil
	s.weigh(sj)
	s.enlist(sj)
}

func (s *sender) meet(p *pack, key, text string, t int64) { s.reports.meet(p, key, text, t) }
