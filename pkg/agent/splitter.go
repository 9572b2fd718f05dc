package agent

import "bytes"

// Bounds of a line that is still being read, in bytes: JSON is cut at its longest strings and must be whole for that, of text the beginning is
// enough.
const (
	maxJSONLine = 16 << 20
	maxTextLine = 1 << 20
	keptBuffer  = 256 << 10 // greater buffers are not kept
)

// A splitter makes lines of what is read, in bounded memory.
type splitter struct {
	line func(line []byte, size int) // size is 0 for whole lines
	part []byte                      // a line whose end is not there yet
	lost int                         // bytes of it that were not kept
}

// write takes what was read.
func (s *splitter) write(p []byte) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			s.keep(p)
			return
		}
		if len(s.part) == 0 {
			s.line(p[:i], 0)
		} else {
			s.keep(p[:i])
			s.end()
		}
		p = p[i+1:]
	}
}

// end takes what was read for a line, be it the last and without its "\n".
func (s *splitter) end() {
	if len(s.part) == 0 {
		return
	}
	size := 0
	if s.lost > 0 {
		size = len(s.part) + s.lost
	}
	s.line(s.part, size)
	if s.part, s.lost = s.part[:0], 0; cap(s.part) > keptBuffer {
		s.part = nil
	}
}

func (s *splitter) keep(p []byte) {
	limit := maxTextLine
	if first := firstByte(s.part, p); first == '{' {
		limit = maxJSONLine
	}
	n := max(min(len(p), limit-len(s.part)), 0)
	s.part = append(s.part, p[:n]...)
	s.lost += len(p) - n
}

// firstByte is the first byte of a line that is no blank.
func firstByte(parts ...[]byte) byte {
	for _, p := range parts {
		p = bytes.TrimLeft(bytes.TrimPrefix(p, byteOrderMark), " \t")
		if len(p) > 0 {
			return p[0]
		}
	}
	return 0
}
