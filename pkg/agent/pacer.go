package agent

import (
	"time"

	"github.com/dlog-fabric/dlog/pkg/transport"
)

// How a pacer behaves.
const (
	paceBytes = 256 << 10              // entries between two looks at the queue
	entryCost = 256                    // bytes of an entry beside its own
	pacePoll  = 2 * time.Millisecond   // between two looks while it waits
	noAcks    = 300 * time.Millisecond // without an ack, and the server is taken for broken
	patience  = 2 * time.Second        // the longest wait at one time
	hurry     = 10 * time.Second       // after a wait in vain nobody waits for so long
)

// A pacer reads input no faster than the server stores it, and does not wait for a server that stores nothing: then the queue's own limits
// decide what is refused. At the worst it waits patience in every hurry.
type pacer struct {
	out   *transport.Transport
	since int
	until time.Time // no waiting before
}

// before is called with the size of an entry that will be written.
func (p *pacer) before(size int) {
	if p.since += size + entryCost; p.since < paceBytes {
		return
	}
	p.since = 0
	st := p.out.Stats()
	if st.Queue.Bytes < st.Queue.Limit/2 || !st.Connected || time.Now().Before(p.until) {
		return
	}
	if !p.wait(st) {
		p.until = time.Now().Add(hurry)
	}
}

// wait returns true when there is room again.
func (p *pacer) wait(st transport.Stats) bool {
	tick := time.NewTicker(pacePoll)
	defer tick.Stop()
	start := time.Now()
	for moved, acked := start, st.Acked; st.Queue.Bytes > st.Queue.Limit*4/10; {
		now := <-tick.C
		if st = p.out.Stats(); st.Acked != acked {
			moved, acked = now, st.Acked
		}
		if now.Sub(moved) > noAcks || now.Sub(start) > patience {
			return false
		}
	}
	return true
}
