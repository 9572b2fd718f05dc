package agent

import (
	"context"
	"time"
)

// A stream is one input: what is written to it is split into lines, decoded, and put. The outlet's lock guards it.
type stream struct {
	o     *Outlet
	dec   *decoder
	split splitter
}

// newStream makes an input. name is the value of the member "stream" of its entries, "" for none; the context says in which task they stand.
func (o *Outlet) newStream(ctx context.Context, format Format, name string) *stream {
	s := &stream{o: o}
	s.dec = newDecoder(format, o.cal, name, func(r *draft) {
		if r.frames {
			o.beats.tasks.Store(true)
		}
		o.put(ctx, r)
	})
	s.split.line = func(line []byte, size int) {
		o.flushOthers(s)
		s.dec.line(line, size)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.streams = append(o.streams, s)
	return s
}

// flushOthers writes what the other streams hold, so that entries keep the order in which their lines came. A trace that has begun is not
// interrupted for that.
func (o *Outlet) flushOthers(s *stream) {
	for _, other := range o.streams {
		if other != s && other.dec.held.some && len(other.dec.held.stack) == 0 {
			other.dec.flush()
		}
	}
}

// write takes a piece of the input.
func (s *stream) write(p []byte) {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	if s.o.closed {
		return
	}
	s.split.write(p)
	if s.dec.held.some {
		s.o.quiet = time.Now().Add(s.o.cfg.Idle)
		s.o.idle.Reset(s.o.cfg.Idle)
	}
}

// end takes the end of the input.
func (s *stream) end() {
	s.o.mu.Lock()
	defer s.o.mu.Unlock()
	if !s.o.closed {
		s.split.end()
		s.dec.flush()
	}
}
