package sink

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A Kind is a destination of entries. The runner calls its methods from one goroutine at a time, in the order Open, Commit…, Close;
// after Close it may call Open again. Package sinktest holds this contract as a suite of tests.
type Kind interface {
	// Open makes the destination ready and returns what it holds: the To of the last batch committed by anyone, or the zero
	// Committed if there was none. What a commit that did not finish left behind is removed before Open returns.
	//
	// ErrInUse says that another process writes to the destination now; the runner stands by. Any other error is the
	// destination's trouble: the runner tries again later. A kind that failed to open need not be closed.
	Open(ctx context.Context) (Committed, error)

	// Commit stores the entries of b and b.To, both or nothing: after nil they survive the death of the process (and, as far as the
	// destination can promise that, of the machine), after an error the next Open returns either the state before or, where the
	// error came too late to undo it, the state after the whole batch. Entries keep their order.
	//
	// It compares and sets: where the destination no longer holds b.From (see Committed.Same), it stores nothing and returns
	// ErrConflict, so that a process that was thought dead cannot write over its successor.
	//
	// Entries with Again set may have been committed before as part of another message. A destination that can look identities
	// up leaves those that it holds out, and only those; an entry without an identity is always kept.
	//
	// A *Refused error says that the destination will never take some of the entries, whatever its own state; nothing was stored.
	// Any other error is the destination's trouble, and the runner opens it anew later. A batch without entries only moves the
	// position. The entries' bytes are valid until Commit returns.
	Commit(ctx context.Context, b Batch) error

	// Close gives the destination free. Closing what is not open does nothing.
	Close() error
}

// Batcher is implemented by kinds that wish for other batches than the default ones. It is asked before the first Open.
type Batcher interface{ Batching() Batching }

// Reopener is implemented by kinds that hold files which others may move away. Reopen is called when an operator asks for it (SIGHUP),
// from any goroutine and at any time, also while the destination is not open, where it does nothing. It opens what is new before
// it lets go of what is old; with an error the old is kept.
type Reopener interface{ Reopen() error }

// Batching says when a batch is handed over: as soon as one of the bounds is reached. Zero fields have defaults.
type Batching struct {
	// Entries and Bytes bound a batch; a single pack is never divided because of them. Defaults: 8,192 and 8 MiB.
	Entries int
	Bytes   int
	// Wait is how long the first entry of a batch may wait for others. Zero hands over at once what is there; while a
	// commit runs, the next batch gathers anyway.
	Wait time.Duration
}

const (
	defaultBatchEntries = 8192
	defaultBatchBytes   = 8 << 20
)

func (b Batching) orDefaults() Batching {
	if b.Entries <= 0 {
		b.Entries = defaultBatchEntries
	}
	if b.Bytes <= 0 {
		b.Bytes = defaultBatchBytes
	}
	return b
}

// Errors of kinds.
var (
	// ErrConflict is returned by Commit where another process committed in the meantime.
	ErrConflict = errors.New("the destination was written by another process")
	// ErrInUse is returned by Open while another process writes to the destination.
	ErrInUse = errors.New("the destination is in use by another process")
)

// Refused is the error of a Commit whose entries the destination takes neither now nor later, for what they are. It is never
// the right error for a destination that is full, away, or configured wrongly.
type Refused struct {
	// Entries are the indices of the entries refused, where the destination names them. Empty means that at least one of
	// the batch was; the runner finds it by halving.
	Entries []int
	// Err says why.
	Err error
}

// Error returns the reason.
func (r *Refused) Error() string { return fmt.Sprintf("entries refused: %v", r.Err) }

// Unwrap returns the reason.
func (r *Refused) Unwrap() error { return r.Err }

// Committed is how far a destination has come in its stream. A destination stores it with the entries as the JSON that it
// marshals to, or field by field, and hands it back from Open. The zero value is a destination that holds nothing yet.
type Committed struct {
	// Seq is the stream sequence of the last message of which anything is committed; 0 is none.
	Seq uint64 `json:"seq"`
	// Time is that message's store time, by which a stream that was rolled back is recognised.
	Time time.Time `json:"time,omitzero"`
	// Part is how many lines of that message are committed; 0 means all of them.
	Part int `json:"part,omitempty"`
	// Epoch counts how often the stream was rolled back or made anew: within one epoch Seq only grows. Since is when
	// it began, zero for the first.
	Epoch uint64    `json:"epoch,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Whole says that nothing of the stream was missing when it was first read, and Counts are the routers' running counts, by
	// router: both make the numbers in gap records exact.
	Whole  bool             `json:"whole,omitempty"`
	Counts map[string]Count `json:"counts,omitempty"`

	// Unknown is returned by kinds that keep no position (a terminal): the consumer's acks decide instead, and what was
	// written but not acked comes again. Such kinds need not compare Batch.From.
	Unknown bool `json:"-"`
}

// Same reports whether two positions are the same place of the same epoch.
func (c Committed) Same(o Committed) bool {
	return c.Seq == o.Seq && c.Part == o.Part && c.Epoch == o.Epoch && c.Time.Equal(o.Time)
}

// String returns "12", "12+3 lines", "12 of epoch 2".
func (c Committed) String() string {
	s := fmt.Sprint(c.Seq)
	if c.Part > 0 {
		s = fmt.Sprintf("%s, its first %d lines", s, c.Part)
	}
	if c.Epoch > 0 {
		s = fmt.Sprintf("%s of epoch %d", s, c.Epoch)
	}
	return s
}

// next is the first message that is not wholly committed, and how many of its lines are.
func (c Committed) next() (seq uint64, skip int) {
	if c.Part > 0 {
		return c.Seq, c.Part
	}
	return c.Seq + 1, 0
}

// Batch is what one Commit stores. Its slices are the runner's; a kind that keeps them copies them.
type Batch struct {
	// From is what the destination must hold before, To what it holds after.
	From, To Committed
	// Entries in the order of the stream; there may be none.
	Entries []Entry
}

// Entry is one line of a pack, with where it came from.
type Entry struct {
	// Line is one JSON object without a line end.
	Line []byte
	// Subject is that of the message it came in: its service, level and path.
	Subject string
	// Seq and Time are sequence and store time of that message, Index the line's place in it, from 0.
	Seq   uint64
	Time  time.Time
	Index int
	// ID is the entry's identity, the zero Identity where it has none.
	ID Identity
	// Again is set where the entry may have been stored before, as part of another message.
	Again bool
	// Gap is set on records that the runner made about what is not there: Seq is the last message that is missing, Time
	// that of the message before the gap.
	Gap bool
}

// after is the position of a destination that holds everything up to e.
func (e Entry) after(c Committed) Committed {
	c.Seq, c.Time, c.Part = e.Seq, e.Time, e.Index+1
	if e.Gap {
		c.Part = 0
	}
	return c
}
