package transport

import "math"

// A request is what other goroutines ask of the sender.
type request struct {
	stored   chan struct{} // closed when the entries before are stored
	reserved uint64        // frames of the transport's own queue at the time of asking
	adopt    *source
}

// A flush waits for the entries up to a mark.
type flush struct {
	request
	marked bool
	mark   uint64
}

func (s *sender) ask(r request) {
	s.reqMu.Lock()
	s.reqs = append(s.reqs, r)
	s.reqMu.Unlock()
	s.poke()
}

func (s *sender) takeRequests() {
	s.reqMu.Lock()
	reqs := s.reqs
	s.reqs = nil
	s.reqMu.Unlock()
	for _, r := range reqs {
		if r.stored != nil {
			s.flushes = append(s.flushes, flush{request: r})
		}
		if r.adopt != nil {
			s.sources = append(s.sources, r.adopt)
			s.enlistOld(r.adopt)
		}
	}
}

// refuseRequests answers those that nobody will carry out, once the sender has ended.
func (s *sender) refuseRequests() {
	s.reqMu.Lock()
	reqs := s.reqs
	s.reqs = nil
	s.reqMu.Unlock()
	for _, r := range reqs {
		if r.adopt != nil {
			r.adopt.done(ErrClosed)
		}
	}
}

// settle ends adopted sources, and answers flushes.
func (s *sender) settle() {
	if len(s.sources) > 1 {
		s.settleAdopted() // before flushes: it may leave an entry in the queue
	}
	if len(s.flushes) > 0 {
		s.settleFlushes()
	}
}

// settleAdopted ends adopted sources with nothing left.
func (s *sender) settleAdopted() {
	stay := s.sources[:1]
	for _, src := range s.sources[1:] {
		if src.empty() {
			src.done(nil)
		} else {
			stay = append(stay, src)
		}
	}
	clear(s.sources[len(stay):])
	s.sources = stay
}

func (s *sender) settleFlushes() {
	waiting := s.own.q.Stats().Waiting
	oldest := s.oldest()
	stay := s.flushes[:0]
	for _, f := range s.flushes {
		// Either as many were read as there had been, or there is nothing to read at all.
		if all := s.own.before + f.reserved; !f.marked && (s.own.read >= all || waiting == s.own.held) {
			f.marked, f.mark = true, min(all, s.own.read)
		}
		if waiting == 0 || f.marked && oldest > f.mark && s.own.pending == 0 {
			close(f.stored)
			continue
		}
		stay = append(stay, f)
	}
	clear(s.flushes[len(stay):])
	s.flushes = stay
}

// oldest is the number of the first entry of the own queue that is not stored.
func (s *sender) oldest() uint64 {
	o := uint64(math.MaxUint64)
	for _, sj := range s.own.subjs {
		if sj.first != 0 {
			o = min(o, s.refs.all[sj.first].count)
		}
		if p := sj.inFlight; p != nil && p.first != 0 {
			o = min(o, s.refs.all[p.first].count)
		}
	}
	return o
}
