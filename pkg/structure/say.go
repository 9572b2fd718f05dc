package structure

import (
	"fmt"
	"io"
	"sync"
)

// sayer tells the developer what she should know, each thing once. It never travels through dlog.
type sayer struct {
	mu   sync.Mutex // guards out and said
	out  io.Writer
	said map[string]bool
}

// maxSaid bounds the memory of what was said.
const maxSaid = 64

// once writes the line unless one of this topic was written before.
func (s *sayer) once(topic, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.said[topic] || len(s.said) >= maxSaid {
		return
	}
	if s.said == nil {
		s.said = make(map[string]bool)
	}
	s.said[topic] = true
	_, _ = fmt.Fprintf(s.out, "dlog: "+format+"\n", args...)
}
