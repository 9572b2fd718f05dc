// Package sinktest is the contract of [sink.Kind] as a suite of tests: whoever makes a kind of sink runs it from a test of his own.
//
//	func TestConformance(t *testing.T) {
//		sinktest.Run(t, func(t *testing.T) sinktest.Destination { … })
//	}
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Destination is one empty destination and the ways to it.
type Destination struct {
	// Kind makes a new handle on the destination, as another process would. Required.
	Kind func(t *testing.T) sink.Kind
	// Lines returns what the destination holds, in order, without line ends. It is called while no handle is open. Required.
	Lines func(t *testing.T) []string
	// Tear leaves behind what a crash in the midst of a commit would: some of a batch, without its position. It is called while no
	// handle is open. Nil where nobody outside can do that; then the case is left out.
	Tear func(t *testing.T)
	// Refused is a line that the destination refuses for what it is; nil where it takes everything.
	Refused []byte
}

// Run runs the suite. open is called for each case and makes a destination of its own, empty. A kind that keeps no position
// (Committed.Unknown) is tested for what remains: order, bytes, and the life cycle.
func Run(t *testing.T, open func(t *testing.T) Destination) {
	if keepsNone(t, open(t)) {
		run(t, open, always)
		return
	}
	run(t, open, append(always, positional...))
}

func keepsNone(t *testing.T, d Destination) bool {
	k := d.Kind(t)
	c, err := k.Open(t.Context())
	if err != nil {
		t.Fatalf("open an empty destination: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return c.Unknown
}

func run(t *testing.T, open func(t *testing.T) Destination, cases []testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := &session{t: t, d: open(t)}
			t.Cleanup(s.close)
			c.run(s)
			if t.Failed() {
				t.Log("the contract: " + c.contract)
			}
		})
	}
}

// testCase is one sentence of the contract.
type testCase struct {
	name, contract string
	run            func(s *session)
}

// session is a handle in use by a case.
type session struct {
	t    *testing.T
	d    Destination
	k    sink.Kind
	held sink.Committed
}

func (s *session) open() {
	s.t.Helper()
	s.close()
	s.k = s.d.Kind(s.t)
	var err error
	if s.held, err = s.k.Open(s.t.Context()); err != nil {
		s.t.Fatalf("open: %v", err)
	}
}

func (s *session) close() {
	s.t.Helper()
	if s.k == nil {
		return
	}
	if err := s.k.Close(); err != nil {
		s.t.Fatalf("close: %v", err)
	}
	s.k = nil
}

// batch makes a batch of whole messages, one for each line, after what is held.
func (s *session) batch(lines ...string) sink.Batch {
	b := sink.Batch{From: s.held, To: s.held}
	for _, line := range lines {
		b.To.Seq++
		b.To.Time = stored(b.To.Seq)
		b.Entries = append(b.Entries, entryOf(line, b.To.Seq))
	}
	b.To.Unknown = false
	return b
}

func (s *session) commit(b sink.Batch) {
	s.t.Helper()
	if err := s.k.Commit(s.t.Context(), b); err != nil {
		s.t.Fatalf("commit: %v", err)
	}
	s.held = b.To
}

// want opens the destination anew and compares what it holds.
func (s *session) want(c sink.Committed, lines ...string) {
	s.t.Helper()
	s.open()
	if !s.held.Same(c) || s.held.Whole != c.Whole || fmt.Sprint(s.held.Counts) != fmt.Sprint(c.Counts) || !s.held.Since.Equal(c.Since) {
		s.t.Errorf("the destination says it holds %+v, want %+v", s.held, c)
	}
	s.close()
	s.lines(lines...)
}

func (s *session) lines(want ...string) {
	s.t.Helper()
	if got := s.d.Lines(s.t); !slices.Equal(got, want) {
		s.t.Errorf("the destination holds\n%q, want\n%q", got, want)
	}
}

// stored is the store time of a message; nanoseconds count.
func stored(seq uint64) time.Time {
	return time.Date(2026, 11, 22, 16, 0, 0, int(seq), time.UTC)
}

func entryOf(line string, seq uint64) sink.Entry {
	e := sink.Entry{Line: []byte(line), Subject: "dlog.to.payments.shop.info.place-order", Seq: seq, Time: stored(seq)}
	var scan sink.Scanner
	if id, err := scan.Scan(e.Line); err == nil {
		e.ID = id
	}
	return e
}

var process = task.Process{1, 2, 3, 4, 5, 6, 7, 8}

// said is a line with an identity.
func said(n int) string {
	return fmt.Sprintf(`{"level":"info","message":"said","dlog":{"svc":"shop","proc":"%s","seq":%d}}`, process, n)
}

// plain is a line without one.
func plain(n int) string { return fmt.Sprintf(`{"level":"info","message":"plain %d"}`, n) }

var always = []testCase{
	{"order", "entries keep their order, byte for byte", func(s *session) {
		s.open()
		s.commit(s.batch(said(2), plain(1), said(1)))
		s.commit(s.batch(`{"message":"ü\u0000\ttab","x":1e400}`, plain(1)))
		s.close()
		s.lines(said(2), plain(1), said(1), `{"message":"ü\u0000\ttab","x":1e400}`, plain(1))
	}},
	{"bytes", "the entries' bytes are the runner's again once Commit has returned", func(s *session) {
		s.open()
		b := s.batch(plain(1), plain(2))
		s.commit(b)
		for _, e := range b.Entries {
			for i := range e.Line {
				e.Line[i] = 'x'
			}
		}
		s.commit(s.batch(plain(3)))
		s.close()
		s.lines(plain(1), plain(2), plain(3))
	}},
	{"life", "closing what is not open does nothing; a closed handle opens again and does not commit", func(s *session) {
		k := s.d.Kind(s.t)
		if err := k.Close(); err != nil {
			s.t.Errorf("close before open: %v", err)
		}
		s.open()
		s.commit(s.batch(plain(1)))
		closed := s.k
		s.close()
		if err := closed.Close(); err != nil {
			s.t.Errorf("close twice: %v", err)
		}
		if _, err := closed.Open(s.t.Context()); err != nil {
			s.t.Fatalf("open again: %v", err)
		}
		s.k = closed
		s.commit(s.batch(plain(2)))
		s.close()
		s.lines(plain(1), plain(2))
	}},
}

var positional = []testCase{
	{"empty", "what holds nothing returns the zero Committed", func(s *session) { s.want(sink.Committed{}) }},
	{"reopen", "Open returns the To of the last commit, whole", func(s *session) {
		s.open()
		s.commit(s.batch(said(1), said(2)))
		b := s.batch(said(3))
		b.To.Epoch, b.To.Since, b.To.Whole = 2, stored(99), true
		b.To.Counts = map[string]sink.Count{"r1": {Total: 7, Seen: 6, At: stored(1)}, "r 2": {Total: 1 << 60}}
		s.commit(b)
		s.want(b.To, said(1), said(2), said(3))
	}},
	{"position alone", "a batch without entries moves the position", func(s *session) {
		s.open()
		s.commit(s.batch(said(1)))
		b := sink.Batch{From: s.held, To: s.held}
		b.To.Seq, b.To.Time = 9, stored(9)
		s.commit(b)
		s.want(b.To, said(1))
	}},
	{"part", "a position in the midst of a message is kept", func(s *session) {
		s.open()
		b := s.batch(said(1))
		b.To.Part = 3
		s.commit(b)
		s.want(b.To, said(1))
	}},
	{"new epoch", "the sequence may go down in a new epoch", func(s *session) {
		s.open()
		s.commit(s.batch(said(1), said(2), said(3)))
		b := s.batch(said(4))
		b.To = sink.Committed{Seq: 1, Time: stored(50), Epoch: 1, Since: stored(60)}
		s.commit(b)
		s.want(b.To, said(1), said(2), said(3), said(4))
	}},
	{"closed", "a closed handle stores nothing", func(s *session) {
		s.open()
		k, b := s.k, s.batch(said(1))
		s.close()
		if k.Commit(s.t.Context(), b) == nil {
			s.t.Error("a closed handle committed")
		}
		s.want(sink.Committed{})
	}},
	{"compare and set", "a batch whose From is not what is held stores nothing: ErrConflict", func(s *session) {
		s.open()
		s.commit(s.batch(said(1)))
		held := s.held
		for _, from := range []sink.Committed{
			{}, {Seq: 2, Time: stored(2)}, {Seq: 1, Time: stored(2)}, {Seq: 1, Time: stored(1), Part: 1}, {Seq: 1, Time: stored(1), Epoch: 1},
		} {
			b := s.batch(said(2))
			b.From = from
			if err := s.k.Commit(s.t.Context(), b); !errors.Is(err, sink.ErrConflict) {
				s.t.Errorf("commit after %+v: %v", from, err)
			}
		}
		s.want(held, said(1))
	}},
	{"old active", "who was thought dead cannot write over his successor", func(s *session) {
		s.open()
		s.commit(s.batch(said(1)))
		old, late := s.k, s.batch(said(2))
		next := s.d.Kind(s.t)
		_, err := next.Open(s.t.Context())
		if errors.Is(err, sink.ErrInUse) {
			return // there is never more than one
		}
		if err != nil {
			s.t.Fatalf("open beside another handle: %v", err)
		}
		b := s.batch(said(3))
		if err := next.Commit(s.t.Context(), b); err != nil {
			s.t.Fatalf("commit of the successor: %v", err)
		}
		if err := old.Commit(s.t.Context(), late); !errors.Is(err, sink.ErrConflict) {
			s.t.Errorf("commit of the old one: %v", err)
		}
		if err := next.Close(); err != nil {
			s.t.Errorf("close: %v", err)
		}
		s.want(b.To, said(1), said(3))
	}},
	{"abort", "a commit that was given up leaves all of it or nothing", func(s *session) {
		s.open()
		s.commit(s.batch(said(1)))
		before, b := s.held, s.batch(said(2), said(3))
		ctx, cancel := context.WithCancel(s.t.Context())
		cancel()
		if s.k.Commit(ctx, b) == nil {
			s.want(b.To, said(1), said(2), said(3))
			return
		}
		s.open()
		if s.held.Same(b.To) {
			s.want(b.To, said(1), said(2), said(3))
			return
		}
		s.want(before, said(1))
	}},
	{"torn", "what a crash left of a commit is gone when the destination is open", func(s *session) {
		if s.d.Tear == nil {
			s.t.Log("does not apply: this destination cannot be torn from outside")
			return
		}
		s.open()
		s.commit(s.batch(said(1), said(2)))
		held := s.held
		s.close()
		s.d.Tear(s.t)
		s.want(held, said(1), said(2))
		s.open()
		s.commit(s.batch(said(3)))
		s.want(s.held, said(1), said(2), said(3))
	}},
	{"again", "of the entries that may have been stored before, those that were are left out, and only those", func(s *session) {
		s.open()
		s.commit(s.batch(said(1), said(2), plain(1)))
		s.commit(again(s.batch(said(2), said(3), plain(1), said(1), said(3))))
		s.commit(s.batch(plain(2)))
		held := s.held
		s.want(held, said(1), said(2), plain(1), said(3), plain(1), plain(2))
	}},
	{"again after opening", "the same after the destination was opened anew", func(s *session) {
		s.open()
		s.commit(s.batch(said(1), said(2), said(70_000)))
		s.open()
		s.commit(again(s.batch(said(70_000), said(2), said(4))))
		held := s.held
		s.want(held, said(1), said(2), said(70_000), said(4))
	}},
	{"refused", "an entry that is refused for what it is stores nothing of its batch, and is told from a failure", func(s *session) {
		if s.d.Refused == nil {
			s.t.Log("does not apply: this destination takes everything")
			return
		}
		s.open()
		s.commit(s.batch(said(1)))
		held := s.held
		err := s.k.Commit(s.t.Context(), s.batch(said(2), string(s.d.Refused), said(3)))
		refused, ok := errors.AsType[*sink.Refused](err)
		if !ok {
			s.t.Fatalf("commit of what is refused: %v", err)
		}
		if len(refused.Entries) > 0 && !slices.Equal(refused.Entries, []int{1}) {
			s.t.Errorf("entries %v are named, want none or the second", refused.Entries)
		}
		s.commit(s.batch(said(4)))
		s.want(sink.Committed{Seq: held.Seq + 1, Time: stored(held.Seq + 1)}, said(1), said(4))
	}},
}

func again(b sink.Batch) sink.Batch {
	for i := range b.Entries {
		b.Entries[i].Again = true
	}
	return b
}
