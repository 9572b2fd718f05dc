package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// memory is a destination that refuses lines with the word bad, with or without naming them, and fails while away is set.
type memory struct {
	held  Committed
	lines []string
	names bool
	away  error
	calls int
}

func (m *memory) Open(context.Context) (Committed, error) { return m.held, nil }
func (m *memory) Close() error                            { return nil }

func (m *memory) Commit(_ context.Context, b Batch) error {
	m.calls++
	if m.away != nil {
		return m.away
	}
	if !m.held.Same(b.From) {
		return ErrConflict
	}
	var bad []int
	for i, e := range b.Entries {
		if bytes.Contains(e.Line, []byte("bad")) {
			bad = append(bad, i)
		}
	}
	if bad != nil {
		if !m.names {
			bad = nil
		}
		return &Refused{Entries: bad, Err: errors.New("no")}
	}
	for _, e := range b.Entries {
		m.lines = append(m.lines, string(e.Line))
	}
	m.held = b.To
	return nil
}

// packs makes a batch of messages with a few lines each.
func packs(from Committed, lines []string, each int) Batch {
	b := Batch{From: from, To: from}
	for i, line := range lines {
		seq := from.Seq + 1 + uint64(i/each)
		b.Entries = append(b.Entries, Entry{Line: []byte(line), Seq: seq, Index: i % each, Time: time.Unix(int64(seq), 0)})
		b.To.Seq, b.To.Time = seq, time.Unix(int64(seq), 0)
	}
	return b
}

// TestIsolate: whatever is refused, the rest is stored in order, once, and the position is right.
func TestIsolate(t *testing.T) {
	for round := range 200 {
		m := &memory{names: round%2 == 0}
		var dead, want, all []string
		w := &writer{kind: m, dead: func(_ context.Context, e Entry, _ error) error {
			dead = append(dead, string(e.Line))
			return nil
		}}
		var bad []string
		for i := range 1 + rand.IntN(60) {
			line := fmt.Sprint("good ", i)
			if rand.IntN(8) == 0 {
				line = fmt.Sprint("bad ", i)
				bad = append(bad, line)
			} else {
				want = append(want, line)
			}
			all = append(all, line)
		}
		b := packs(Committed{Seq: 7, Time: time.Unix(7, 0)}, all, 1+rand.IntN(5))
		m.held = b.From
		reached, err := w.write(t.Context(), b)
		if err != nil || !reached.Same(b.To) || !m.held.Same(b.To) || !slices.Equal(m.lines, want) || !slices.Equal(dead, bad) {
			t.Fatalf("of %q: error %v, reached %v of %v, stored %q, dead %q", all, err, reached, b.To, m.lines, dead)
		}
	}
}

// TestPartial: what was committed before a failure is known, to the line.
func TestPartial(t *testing.T) {
	m := &memory{}
	w := &writer{kind: m, dead: func(context.Context, Entry, error) error { return errors.New("no dead letters either") }}
	b := packs(Committed{}, []string{"1", "2", "3", "4", "5", "bad", "7", "8"}, 4)
	reached, err := w.write(t.Context(), b)
	if err == nil || !reached.Same(m.held) || len(m.lines) != 5 || reached.Seq != 2 || reached.Part != 1 {
		t.Errorf("error %v, reached %v, held %v, lines %q", err, reached, m.held, m.lines)
	}
	if seq, skip := reached.next(); seq != 2 || skip != 1 {
		t.Errorf("goes on at message %d behind %d lines", seq, skip)
	}
}

// TestSuspect: a destination that refuses everything does not empty the stream into the dead letters.
func TestSuspect(t *testing.T) {
	for _, names := range []bool{true, false} {
		dead := 0
		w := &writer{kind: &memory{names: names}, dead: func(context.Context, Entry, error) error { dead++; return nil }}
		_, err := w.write(t.Context(), packs(Committed{}, slices.Repeat([]string{"bad"}, 1000), 10))
		if !errors.Is(err, errSuspect) || dead > maxRefused {
			t.Errorf("names %v: error %v after %d dead letters", names, err, dead)
		}
	}
}

// TestBadDestination: any other error is never a reason for a dead letter.
func TestBadDestination(t *testing.T) {
	f := func(away error) {
		t.Helper()
		m := &memory{away: away}
		w := &writer{kind: m, dead: func(context.Context, Entry, error) error { t.Error("a dead letter"); return nil }}
		b := packs(Committed{}, []string{"1", "bad"}, 1)
		if reached, err := w.write(t.Context(), b); !errors.Is(err, away) || !reached.Same(b.From) || m.calls != 1 {
			t.Errorf("error %v, reached %v, %d calls", err, reached, m.calls)
		}
	}
	f(errors.New("no space left"))
	f(ErrConflict)
	f(context.DeadlineExceeded)
}

func TestRefusedWithoutEntries(t *testing.T) {
	w := &writer{kind: &memory{away: &Refused{Err: errors.New("no")}}}
	if _, err := w.write(t.Context(), Batch{}); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}
