package router

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// headerRoom is what the headers and the subject of a message may take beside its body.
const headerRoom = 8 << 10

// carries reports whether the server takes a body of n bytes with the router's headers; it took the message without them.
func (e *engine) carries(n int) bool {
	most := int(e.nc.MaxPayload())
	return most <= 0 || n <= most-headerRoom
}

// dead sends what cannot be routed to the dead letters: n entries of a message of IN.
func (w *worker) dead(h *hand, reason stream.Reason, why error, data []byte, n int) {
	h.tally.dead = append(h.tally.dead, reasonCount{reason, n})
	encoding := h.headers.Get(stream.HdrEncoding)
	if reason == stream.ReasonJSON { // lines picked out of a message that was decoded
		encoding = ""
	}
	w.engine.letter(h, letter{reason: reason, why: why, data: data, encoding: encoding, entries: n})
}

// bury makes a dead letter of a copy that its stream can never take.
func (e *engine) bury(h *hand, p *parcel, why error) {
	e.letter(h, letter{
		reason: stream.ReasonStream, why: why, part: p.to.name + "-" + strconv.Itoa(p.part),
		data: p.Msg.Data, encoding: p.Msg.Header.Get(stream.HdrEncoding), entries: p.count,
	})
}

// letter is a dead letter in the making.
type letter struct {
	reason   stream.Reason
	why      error
	rule     string // that failed, ""
	part     string // tells the letters of one message and reason apart
	data     []byte
	encoding string
	entries  int
}

// letter stores a dead letter: the body as it came, with reason, subject and sequence in headers.
func (e *engine) letter(h *hand, l letter) {
	m := &nats.Msg{Subject: deadSubject(e.ns, l.reason, h.subject), Header: nats.Header{}, Data: l.data}
	if v := h.headers.Get(stream.HdrContentType); v != "" {
		m.Header.Set(stream.HdrContentType, headerText(v))
	}
	if l.encoding != "" {
		m.Header.Set(stream.HdrEncoding, headerText(l.encoding))
	}
	if !e.carries(len(m.Data)) {
		m.Data = m.Data[:int(e.nc.MaxPayload())-headerRoom]
		l.why = fmt.Errorf("%w; cut to %d of %d bytes, the whole is message %d of stream %s", l.why, len(m.Data), len(l.data), h.seq, e.in.Name)
	}
	m.Header.Set(stream.HdrMsgID, e.id(h, "dead-"+string(l.reason)+"-"+l.part, 0))
	m.Header.Set(stream.HdrReason, string(l.reason)+": "+headerText(l.why.Error()))
	if l.rule != "" {
		m.Header.Set(stream.HdrRule, headerText(l.rule))
	}
	m.Header.Set(stream.HdrSubject, headerText(h.subject))
	m.Header.Set(stream.HdrSeq, strconv.FormatUint(h.seq, 10))
	if h.again {
		m.Header.Set(stream.HdrAgain, "1")
	}
	pc := &parcel{hand: h, to: e.letters, count: l.entries}
	pc.Msg, pc.Owner = m, pc
	h.add(e.letters)
	e.letters.lane.Send(&pc.Delivery)
}

// deadSubject names the service as far as the subject does.
func deadSubject(ns string, reason stream.Reason, from string) string {
	s, err := subject.Parse(from)
	if err != nil {
		return subject.Dead(ns, string(reason), "-")
	}
	return subject.DeadToken(ns, string(reason), s.ServiceToken)
}

// headerText makes one short line of what others wrote.
func headerText(s string) string {
	const most = 512
	if len(s) > most {
		s = s[:most]
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
}
