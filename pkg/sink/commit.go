package sink

import (
	"context"
	"errors"
	"fmt"
)

// maxRefused is how many entries in a row may be refused before the destination itself is suspected: a table that lost a column
// refuses everything, and that must not send a day's entries to the dead letters.
const maxRefused = 100

// errSuspect ends an attempt to write when too much is refused.
var errSuspect = errors.New("the destination refuses everything")

// writer commits batches to a kind and isolates the entries that it refuses. It is used by one goroutine.
type writer struct {
	kind Kind
	// dead publishes an entry as a dead letter and returns when that is stored.
	dead    func(ctx context.Context, e Entry, err error) error
	refused int // in a row
}

// write commits b, in parts where the destination refuses some of it, and returns the position reached: b.To if the error is nil,
// else that of the parts that were committed.
func (w *writer) write(ctx context.Context, b Batch) (Committed, error) {
	err := w.kind.Commit(ctx, b)
	if err == nil {
		if len(b.Entries) > 0 {
			w.refused = 0
		}
		return b.To, nil
	}
	refused, ok := errors.AsType[*Refused](err)
	if !ok || len(b.Entries) == 0 {
		return b.From, err
	}
	if bad, ok := named(refused.Entries, len(b.Entries)); ok {
		return w.without(ctx, b, bad, refused.Err)
	}
	return w.halve(ctx, b)
}

// halve writes the two halves of b, whose single entry it would be has been refused by without.
func (w *writer) halve(ctx context.Context, b Batch) (Committed, error) {
	mid := len(b.Entries) / 2
	first := Batch{From: b.From, Entries: b.Entries[:mid]}
	first.To = b.Entries[mid-1].after(b.From)
	at, err := w.write(ctx, first)
	if err != nil {
		return at, err
	}
	return w.write(ctx, Batch{From: at, To: b.To, Entries: b.Entries[mid:]})
}

// without sends the entries marked in bad to the dead letters and writes the others.
func (w *writer) without(ctx context.Context, b Batch, bad []bool, cause error) (Committed, error) {
	kept := make([]Entry, 0, len(b.Entries))
	for i, e := range b.Entries {
		if !bad[i] {
			kept = append(kept, e)
			continue
		}
		if w.refused++; w.refused > maxRefused {
			w.refused = 0
			return b.From, fmt.Errorf("%w, %d entries in a row, the last one: %w", errSuspect, maxRefused, cause)
		}
		if err := w.dead(ctx, e, cause); err != nil {
			return b.From, err
		}
	}
	return w.write(ctx, Batch{From: b.From, To: b.To, Entries: kept})
}

// named turns the indices of a Refused into marks. A single entry needs no name; indices that are none are no help.
func named(indices []int, n int) ([]bool, bool) {
	marks, found := make([]bool, n), n == 1
	marks[0] = n == 1
	for _, i := range indices {
		if i >= 0 && i < n {
			marks[i], found = true, true
		}
	}
	return marks, found
}
