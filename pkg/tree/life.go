package tree

import (
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// life is what is known of a process: whether it ever said that it lives or
// died, and when it last said anything.
type life struct {
	signs bool // a birth, beat or death entry was seen
	dead  bool
	last  time.Time
	birth *entry.Entry
}

// isSign reports whether e is about its process and not about any task.
func isSign(e *entry.Entry) bool {
	switch e.Meta.Event {
	case entry.Birth, entry.Beat, entry.Death:
		return e.HasMeta
	}
	return false
}

// sign notes what e says about the life of its process.
func (f *Forest) sign(e *entry.Entry, received time.Time) {
	if !e.HasMeta || e.Meta.Proc == "" {
		return
	}
	l := f.procs[e.Meta.Proc]
	if l == nil {
		l = new(life)
		f.procs[e.Meta.Proc] = l
	}
	if received.IsZero() {
		received = e.Time
	}
	if received.After(l.last) {
		l.last = received
	}
	switch e.Meta.Event {
	case entry.Birth:
		l.signs = true
		kept := *e
		l.birth = &kept
	case entry.Beat:
		l.signs = true
	case entry.Death:
		l.signs, l.dead = true, true
	}
}

// Birth returns the birth entry of a process, which holds what all its entries
// share, or nil.
func (f *Forest) Birth(proc string) *entry.Entry {
	if l := f.procs[proc]; l != nil {
		return l.birth
	}
	return nil
}

// silent reports whether a process that shows life as dlog's do has shown none
// for too long.
func (l *life) silent(now time.Time) bool {
	return l.signs && !l.dead && now.Sub(l.last) > Silence
}
