package transport

import (
	"context"
	"fmt"
)

// connect dials when it is time to. nats.go reconnects by itself later on; the first
// connection, and one that it gave up, are made here, for ever.
func (s *sender) connect(ctx context.Context) {
	t := s.now()
	if s.link != nil || t < s.dialAt {
		return
	}
	l, err := s.dial(ctx, s.poke)
	t = s.now()
	if err != nil {
		if ctx.Err() == nil {
			s.unreachable(err, t)
		}
		s.dials++
		s.dialAt = t + int64(redial(s.dials))
		return
	}
	s.link, s.dials = l, 0
	s.connected(t)
}

func (s *sender) unreachable(err error, t int64) {
	s.reports.begin("connect", fmt.Sprintf("cannot reach %s: %v; entries wait in the queue (%s)", redact(s.cfg.URL), err, s.own.q.Where()), t)
}

// connected resends what is in flight: its answers may have been lost.
func (s *sender) connected(t int64) {
	s.up = true
	s.local.URL = s.link.URL()
	s.askLimit()
	s.reports.over("connect", "connected to "+s.local.URL, t)
	s.reports.forget()
	for _, p := range s.packs {
		p.retryAt, p.waits = t, 0
	}
	s.retryAt = t
}

// askLimit notes the most bytes of a pack that this server takes.
func (s *sender) askLimit() {
	s.limit = maxPack
	if most := int(s.link.MaxPayload()); most > 0 {
		s.limit = min(maxPack, max(most-headerRoom, 1))
	}
}

// takeNews reads what the connection's goroutines left.
func (s *sender) takeNews() {
	if s.link == nil {
		return
	}
	n, closed := s.link.Events().take()
	t := s.now()
	if n.trouble != nil {
		s.unreachable(n.trouble, t)
	}
	if n.noInbox {
		s.reports.begin("inbox", fmt.Sprintf("%s does not allow to receive answers under %q: set the inbox prefix of these credentials", s.local.URL, s.link.Inbox()), t)
	}
	if n.other != nil {
		s.reports.begin("other "+n.other.Error(), fmt.Sprintf("%s: %v", s.local.URL, n.other), t)
	}
	if len(n.denied) > 0 {
		s.denied(n.denied, t)
	}
	switch {
	case closed:
		s.link.Close()
		s.link, s.up, s.dialAt = nil, false, t+int64(redial(1))
	case n.changed && n.up:
		s.connected(t)
	case n.changed:
		s.up = false
	}
}

// denied lets packs stand whose subjects may not be published to. The server says it
// for the subject only, and instead of an answer.
func (s *sender) denied(subjects []string, t int64) {
	for _, p := range s.packs {
		for _, subject := range subjects {
			if p.subj.wire == subject {
				s.meet(p, "denied", fmt.Sprintf("%s does not allow to publish to %q", s.local.URL, subject), t)
				s.postpone(p, t, mostWait)
				break
			}
		}
	}
}
