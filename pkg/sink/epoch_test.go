package sink

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// history is a stream of which some messages are left: their store times in seconds by sequence.
type history struct {
	created int64
	times   map[uint64]int64
	last    uint64
}

func (h history) Info(context.Context, ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	s := jetstream.StreamState{LastSeq: h.last, FirstSeq: h.last + 1, Msgs: uint64(len(h.times))}
	for seq := h.last; seq > 0; seq-- {
		if at, ok := h.times[seq]; ok {
			s.FirstSeq, s.FirstTime = seq, time.Unix(at, 0)
		}
	}
	return &jetstream.StreamInfo{Created: time.Unix(h.created, 0), State: s}, nil
}

// GetMsg finds the message itself or, where options ask for a subject, the first one from there on.
func (h history) GetMsg(_ context.Context, seq uint64, opts ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error) {
	for ; seq <= h.last; seq++ {
		if at, ok := h.times[seq]; ok {
			return &jetstream.RawStreamMsg{Sequence: seq, Time: time.Unix(at, 0)}, nil
		}
		if len(opts) == 0 {
			break
		}
	}
	return nil, jetstream.ErrMsgNotFound
}

// from makes a history of messages first to last, each stored ten seconds after the one before, the first at start.
func from(created int64, first, last uint64, start int64) history {
	h := history{created: created, times: map[uint64]int64{}, last: last}
	for seq := first; seq <= last; seq++ {
		h.times[seq] = start + 10*int64(seq-first)
	}
	return h
}

func TestPlan(t *testing.T) {
	c := Committed{Seq: 100, Time: time.Unix(2000, 0), Epoch: 3}
	now := time.Unix(9999, 0)
	f := func(what string, h history, held Committed, next uint64, why string, at Committed) {
		t.Helper()
		p, err := planFrom(t.Context(), h, held, now)
		if err != nil || p.next != next || p.why != why || !p.at.Same(at) {
			t.Errorf("%s: next %d %q at %v (%v), want %d %q at %v", what, p.next, p.why, p.at, err, next, why, at)
		}
		if (why != "") != p.at.Since.Equal(now) {
			t.Errorf("%s: the epoch began at %v", what, p.at.Since)
		}
	}
	same := from(0, 1, 150, 2000-990) // message 100 was stored at 2000
	f("goes on", same, c, 101, "", c)
	f("holds nothing", same, Committed{}, 1, "", Committed{})
	f("at the end", from(0, 1, 100, 2000-990), c, 101, "", c)
	half := c
	half.Part = 2
	f("in the midst", same, half, 100, "", half)

	expired := from(0, 120, 150, 2200)
	f("expired", expired, c, 101, "", c)
	f("all expired", history{last: 150}, c, 101, "", c)
	f("expired up to the last", history{last: 100}, c, 101, "", c)
	holes := from(0, 1, 150, 2000-990)
	delete(holes.times, 100)
	f("deleted by hand", holes, c, 101, "", c)

	next := func(seq uint64, at int64) Committed { return Committed{Seq: seq, Time: time.Unix(at, 0), Epoch: 4} }
	f("rolled back", from(0, 1, 80, 2000-990), c, 81, "rolled back", next(80, 2000-990+790))
	f("rolled back to nothing", history{}, c, 1, "rolled back", Committed{Epoch: 4})
	grown := from(0, 1, 80, 2000-990)
	for seq := uint64(81); seq <= 130; seq++ {
		grown.times[seq], grown.last = 3000+int64(seq), seq
	}
	f("rolled back and grown", grown, c, 81, "rolled back", next(80, 1800))
	for seq := uint64(1); seq <= 70; seq++ {
		delete(grown.times, seq)
	}
	f("rolled back, grown, its beginning expired", grown, c, 81, "rolled back", next(80, 1800))
	f("rolled back behind what expired", from(0, 120, 150, 1500), c, 151, "rolled back", next(150, 1800))
	f("made anew", from(2500, 1, 150, 2600), c, 1, "made anew", Committed{Epoch: 4})
	f("made anew and short", from(2500, 1, 3, 2600), c, 1, "made anew", Committed{Epoch: 4})
}
