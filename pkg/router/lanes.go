package router

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// repairEvery is how often streams that refuse are looked after.
const repairEvery = 2 * time.Second

// repair makes streams anew that somebody deleted, and looks where IN ends after a reconnection, until ctx ends.
func (e *engine) repair(ctx context.Context) {
	every(ctx, repairEvery, func(now time.Time) {
		if e.nc.Stats().Reconnects != e.looked.Load() {
			e.lookAgain(ctx)
		}
		for _, o := range e.outlets() {
			since, why := o.lane.Refusing()
			if since.IsZero() || now.Sub(since) < repairEvery || !e.nc.IsConnected() {
				continue
			}
			e.faults.say(e.log, "storing", why)
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			if err := e.furnish(ctx, o); err != nil {
				e.faults.say(e.log, "looking after a stream that refuses", err)
			}
			cancel()
		}
	})
}

func (e *engine) lookAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := e.look(ctx); err != nil {
		e.faults.say(e.log, "looking after IN", err)
	}
}

// faultEvery is how often one and the same fault is said.
const faultEvery = 30 * time.Second

// faults says each distinct fault once in a while.
type faults struct {
	mu   sync.Mutex
	said map[string]time.Time
}

func (f *faults) say(log zerolog.Logger, doing string, err error) {
	text := doing + ": " + err.Error()
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Since(f.said[text]) < faultEvery {
		return
	}
	if f.said == nil || len(f.said) > 100 {
		f.said = map[string]time.Time{}
	}
	f.said[text] = time.Now()
	log.Warn().Err(err).Msg(doing)
}
