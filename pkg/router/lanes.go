package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// setAside updates which lanes have refused for so long that the others no longer wait for them, and says each change. It
// returns nil when there is none.
func (e *engine) setAside(now time.Time, is []bool) []bool {
	some := false
	connected := e.nc.IsConnected() // without a connection no stream is to blame
	for i, l := range e.lanes {
		since, why := l.Refusing()
		refuses := connected && !since.IsZero() && now.Sub(since) > e.asideAfter
		if refuses && !is[i] {
			e.log.Error().Err(why).Str("stream", l.Stream()).Dur("for", now.Sub(since)).Msg("stream takes nothing and is set aside; what it should get is kept in IN")
		}
		if is[i] && since.IsZero() {
			e.log.Info().Str("stream", l.Stream()).Msg("stream takes entries again")
		}
		is[i] = refuses || (is[i] && !since.IsZero())
		some = some || is[i]
	}
	if !some {
		return nil
	}
	return is
}

// repairEvery is how often streams that refuse are looked after.
const repairEvery = 2 * time.Second

// repair makes streams anew that somebody deleted, and looks where IN ends after a reconnection, until ctx ends.
func (e *engine) repair(ctx context.Context) {
	every(ctx, repairEvery, func(now time.Time) {
		if e.nc.Stats().Reconnects != e.looked.Load() {
			e.lookAgain(ctx)
		}
		for i, l := range e.lanes {
			since, why := l.Refusing()
			if since.IsZero() || now.Sub(since) < repairEvery || !e.nc.IsConnected() {
				continue
			}
			e.faults.say(e.log, "storing", why)
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			if err := errors.Join(e.ensure(ctx, e.specs[i]), e.durables(ctx, i)); err != nil {
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

// refusing lists the streams that take nothing at present, for people.
func (e *engine) refusing() (all []string) {
	for _, l := range e.lanes {
		if since, why := l.Refusing(); !since.IsZero() {
			all = append(all, fmt.Sprintf("stream %s takes nothing since %s: %v", l.Stream(), since.UTC().Format(time.RFC3339), why))
		}
	}
	return all
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
