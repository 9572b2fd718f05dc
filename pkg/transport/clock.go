package transport

import (
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// The figures of the clock, measured against the alternatives (no clock, a linger per
// subject, a budget of messages, grids that adapt): at moderate rates the price of a
// message is wake-ups, and one grid for all subjects halves them.
const (
	calmRate   = 250                    // entries a second below which there is no clock
	rateWindow = 100 * time.Millisecond // over which the rate is measured
	grid       = 10 * time.Millisecond
	urgentGrid = 2 * time.Millisecond
)

// A class is what the clock and the order of sending know of a subject.
type class uint8

const (
	normal class = iota
	urgent       // warn and up
	classes
)

var grids = [classes]int64{normal: int64(grid), urgent: int64(urgentGrid)}

// classOf puts task entries with info, whatever their level: the failure that ends a
// task was logged as an error before.
func classOf(level entry.Level, task bool) class {
	if !task && level >= entry.Warn && level < entry.None {
		return urgent
	}
	return normal
}

// clock says when what was gathered may go. Times are nanoseconds of one monotonic
// clock; the sender's goroutine owns it.
type clock struct {
	busy  bool // more than calmRate
	n     int  // entries since
	since int64
	due   [classes]int64 // the next tick at which a burst may go
	burst [classes]bool  // something of the class went in this turn
}

// count takes n more entries read at t into the rate.
func (c *clock) count(n int, t int64) {
	c.n += n
	if d := t - c.since; d >= int64(rateWindow) {
		c.busy = float64(c.n)*float64(time.Second) > calmRate*float64(d)
		c.n, c.since = 0, t
	}
}

// may says whether the class may send at t, and if not, when.
func (c *clock) may(k class, t int64) (ok bool, at int64) {
	if !c.busy || t >= c.due[k] {
		return true, t
	}
	return false, c.due[k]
}

// sent notes that something of the class goes in this turn; the rest of the turn's
// burst goes with it, what comes later waits for the next tick.
func (c *clock) sent(k class) { c.burst[k] = true }

// endTurn moves the ticks of those classes that sent.
func (c *clock) endTurn(t int64) {
	for k, g := range grids {
		if c.burst[k] {
			c.due[k], c.burst[k] = tick(t, g), false
		}
	}
}

// tick is the first point of a grid after t.
func tick(t, g int64) int64 { return (t/g + 1) * g }
