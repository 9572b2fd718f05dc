package transport

import (
	"fmt"
	"time"
)

// refusals is what the sender has noticed of entries that the queue did not take.
type refusals struct {
	refused   uint64 // in all
	refusedAt int64  // when the last ones were noticed
	countAt   int64  // when they are counted again
}

const (
	// countEvery is how often the sender looks for refusals.
	countEvery = int64(time.Second)
	// calmAfter is how long none must have been refused before the queue counts as having room.
	calmAfter = 5 * countEvery
)

// sayRefusals says when the queue begins to refuse entries and when it has room again, with the number: the developer who watches
// the terminal must not learn of it from a log that has holes.
func (s *sender) sayRefusals(t int64) {
	if t < s.countAt {
		return
	}
	s.countAt = t + countEvery
	var n uint64
	for _, r := range s.own.q.Stats().Refused {
		n += r.Count
	}
	switch {
	case n > s.refused:
		s.refused, s.refusedAt = n, t
		s.reports.begin("refused", fmt.Sprintf("the queue is full (%s): entries are refused, the least important first", s.own.q.Where()), t)
	case t-s.refusedAt >= calmAfter:
		s.reports.over("refused", fmt.Sprintf("the queue has room again; %d entries were refused in all", n), t)
	}
}
