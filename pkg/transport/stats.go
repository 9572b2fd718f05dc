package transport

import (
	"fmt"

	"github.com/dlog-fabric/dlog/pkg/spool"
)

// Stats are the figures of the moment. Counters start with Open.
type Stats struct {
	Sent       uint64 // entries in packs that were published at least once
	Acked      uint64 // entries that the server has stored
	Packs      uint64 // packs that were published at least once
	Resends    uint64 // publishes after a pack's first
	Duplicates uint64 // packs answered "duplicate" on their first publish, sent again under a new id
	InFlight   int64  // bytes published and not acked

	Connected bool
	URL       string // of the server connected to, else those tried; without secrets
	LastError string // the failure said last, "" if there was none
	LastSaid  int64  // Unix time of LastError in nanoseconds

	// Queue are the queue's: bytes and entries waiting, refusals by level.
	Queue spool.Stats
}

// A LeftError says that a Flush or Close ended before everything was stored.
type LeftError struct {
	Verb    string // "flush" or "close"
	Entries uint64 // that wait
	Where   string // they lie: Queue.Where
	Last    string // the failure said last, "" if there was none
	Err     error  // why the wait ended: the context's error, or ErrClosed
}

// Error is one line with the number and the reason.
func (e *LeftError) Error() string {
	s := fmt.Sprintf("%s transport: %d entries not yet stored stay in the queue (%s): %v", e.Verb, e.Entries, e.Where, e.Err)
	if e.Last != "" {
		s += "; last failure: " + e.Last
	}
	return s
}

// Unwrap gives the reason.
func (e *LeftError) Unwrap() error { return e.Err }
