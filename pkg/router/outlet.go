package router

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// outlet is a stream that rules send to, or that of the dead letters. It lives as long as the engine, whatever rules come and go.
type outlet struct {
	name  string // as in the rules; "" of the dead letters
	spec  stream.Spec
	sinks []string // durables that the router makes
	lane  *stream.Lane
	total atomic.Uint64 // entries sent, for Dlog-Total
	aside atomic.Bool   // it has refused for so long that the others no longer wait for it
}

// label names an outlet in metrics.
func (o *outlet) label() string {
	if o.name == "" {
		return "(dead)"
	}
	return o.name
}

// generation is a set of rules in force, from one reload to the next. A message is routed by one generation.
type generation struct {
	set  *rule.Set
	hash string    // in message ids
	to   []*outlet // by stream of the set
}

// generation finds or makes the outlets of a set, whose streams are to be like specs. Only one goroutine makes generations.
func (e *engine) generation(set *rule.Set, specs []stream.Spec) *generation {
	g := &generation{set: set, hash: set.Hash()}
	for i := range set.Streams {
		g.to = append(g.to, e.outletFor(&set.Streams[i], specs[i]))
	}
	return g
}

// specOf is what a stream of the rules should be like.
func specOf(ns string, s *rule.StreamConfig) stream.Spec {
	return stream.SpecTo(ns, s.Name, stream.Keep{MaxAge: time.Duration(s.MaxAge), MaxBytes: int64(s.MaxBytes)})
}

// outletFor returns the outlet of a stream with its present limits.
func (e *engine) outletFor(s *rule.StreamConfig, spec stream.Spec) *outlet {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, o := range e.outs {
		if o.name == s.Name {
			o.spec, o.sinks = spec, s.Sinks
			return o
		}
	}
	o := &outlet{name: s.Name, spec: spec, sinks: s.Sinks}
	if e.pub != nil {
		o.lane = e.pub.Lane(spec.Name)
	}
	// A new slice: readers hold the old one.
	e.outs = append(append(make([]*outlet, 0, len(e.outs)+1), e.outs...), o)
	return o
}

// outlets lists all outlets there are. Those of streams that no rule names any more are among them: they may be owed something.
func (e *engine) outlets() []*outlet {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.outs
}

// wanted returns what the stream of an outlet should be like, and its durables.
func (e *engine) wanted(o *outlet) (stream.Spec, []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return o.spec, o.sinks
}

// setAside updates which streams have refused for so long that the others no longer wait for them, says each change, and reports
// whether there are any.
func (e *engine) setAside(now time.Time) (some bool) {
	connected := e.nc.IsConnected() // without a connection no stream is to blame
	for _, o := range e.outlets() {
		since, why := o.lane.Refusing()
		is := o.aside.Load()
		refuses := connected && !since.IsZero() && now.Sub(since) > e.asideAfter
		if refuses && !is {
			e.log.Error().Err(why).Str("stream", o.lane.Stream()).Dur("for", now.Sub(since)).Msg("stream takes nothing and is set aside; what it should get is kept apart")
		}
		if is && since.IsZero() {
			e.log.Info().Str("stream", o.lane.Stream()).Msg("stream takes entries again")
		}
		is = refuses || (is && !since.IsZero())
		o.aside.Store(is)
		some = some || is
	}
	return some
}

// refusing lists the streams that take nothing at present, for people.
func (e *engine) refusing() (all []string) {
	for _, o := range e.outlets() {
		if since, why := o.lane.Refusing(); !since.IsZero() {
			all = append(all, fmt.Sprintf("stream %s takes nothing since %s: %v", o.lane.Stream(), since.UTC().Format(time.RFC3339), why))
		}
	}
	return all
}
