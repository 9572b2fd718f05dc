package sink

import (
	"math/rand/v2"
	"time"
)

// backOff is the pause before the given attempt, 1 for the first: from 100 ms up to most, doubled each time, with jitter so that
// sinks that failed together do not come back together.
func backOff(attempt int, most time.Duration) time.Duration {
	d := 100 * time.Millisecond << min(max(attempt-1, 0), 16)
	return jitter(min(d, most))
}

// jitter is d, more or less by half.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
