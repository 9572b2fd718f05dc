package entry

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// MaxDepth is how many containers may lie in one another, the line's own object included.
const MaxDepth = 128

// Why a line is no entry. Every error of this package that is about a line also matches
// ErrNotObject.
var (
	ErrNotObject = errors.New("not a JSON object")
	ErrSyntax    = errors.New("not valid JSON")
	ErrTooDeep   = fmt.Errorf("nested more than %d deep", MaxDepth)
)

// LineError says why a line is not an entry, and at which byte that shows.
type LineError struct {
	Offset int
	Cause  error // ErrNotObject, ErrSyntax or ErrTooDeep
}

// Error returns the cause and the offset.
func (e *LineError) Error() string {
	return fmt.Sprintf("read line: %v at byte %d", e.Cause, e.Offset)
}

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Cause }

// Is reports true for ErrNotObject, whatever the cause.
func (e *LineError) Is(target error) bool { return target == ErrNotObject }

// Valid reports whether the line is one JSON object as the package comment says. The error
// is a *LineError.
func Valid(line []byte) error {
	s := scan{b: line}
	return s.line(nil, nil)
}

// scan is one pass over a line. It stops at the first error and stays there.
type scan struct {
	b     []byte
	at    int
	cause error
}

func (s *scan) fail(cause error) {
	if s.cause == nil {
		s.cause = cause
	}
}

// line reads one object and nothing else.
func (s *scan) line(n *node, into []Value) error {
	s.space()
	if s.peek() != '{' {
		s.fail(ErrNotObject)
	} else if s.object(n, into, 1); s.cause == nil {
		if s.space(); s.at < len(s.b) {
			s.fail(ErrSyntax)
		}
	}
	if s.cause != nil {
		return &LineError{Offset: s.at, Cause: s.cause}
	}
	return nil
}

// peek returns the next byte, 0 at the end: no JSON token begins with it.
func (s *scan) peek() byte {
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}

func (s *scan) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// object reads an object whose members n, if not nil, wants. The next byte is its brace.
func (s *scan) object(n *node, into []Value, depth int) {
	for more := s.enter('}', depth); more; more = s.next('}') {
		var c *child
		key, escaped := s.key()
		if n != nil && s.cause == nil {
			c = n.find(key, escaped)
		}
		if c == nil {
			s.value(depth)
		} else {
			s.wanted(c, into, depth)
		}
	}
}

// wanted reads the value of a member that somebody asked for.
func (s *scan) wanted(c *child, into []Value, depth int) {
	start := s.at
	kind := Object
	if c.below != nil {
		forget(into, c.slots) // an earlier member of the same name does not count
	}
	if c.below != nil && s.peek() == '{' {
		s.object(c.below, into, depth+1)
	} else {
		kind = s.value(depth)
	}
	if c.slot < 0 || s.cause != nil {
		return
	}
	if v := &into[c.slot]; c.literal || !v.literal {
		*v = Value{Raw: s.b[start:s.at:s.at], Kind: kind, literal: c.literal, at: int32(start)}
	}
}

func forget(into []Value, slots []int) {
	for _, i := range slots {
		if !into[i].literal {
			into[i] = Value{}
		}
	}
}

// value reads a value and returns its kind.
func (s *scan) value(depth int) Kind {
	switch c := s.peek(); c {
	case '"':
		s.string()
		return String
	case '{':
		s.object(nil, nil, depth+1)
		return Object
	case '[':
		for more := s.enter(']', depth+1); more; more = s.next(']') {
			s.value(depth + 1)
		}
		return Array
	case 't':
		s.word("true")
		return Bool
	case 'f':
		s.word("false")
		return Bool
	case 'n':
		s.word("null")
		return Null
	default:
		s.number()
		return Number
	}
}

// enter steps into a container and reports whether it has a first element.
func (s *scan) enter(end byte, depth int) bool {
	if depth > MaxDepth {
		s.fail(ErrTooDeep)
		return false
	}
	s.at++
	s.space()
	if s.peek() == end {
		s.at++
		return false
	}
	return true
}

// next reads what follows an element: a comma, or the end of its container.
func (s *scan) next(end byte) bool {
	if s.cause != nil {
		return false
	}
	s.space()
	switch s.peek() {
	case ',':
		s.at++
		s.space()
		return true
	case end:
		s.at++
	default:
		s.fail(ErrSyntax)
	}
	return false
}

// key reads a member's name and its colon. It returns what stands between the quotes.
func (s *scan) key() (key []byte, escaped bool) {
	if s.peek() != '"' {
		s.fail(ErrSyntax)
		return nil, false
	}
	start := s.at + 1
	escaped = s.string()
	if s.cause != nil {
		return nil, false
	}
	key = s.b[start : s.at-1]
	s.space()
	if s.peek() != ':' {
		s.fail(ErrSyntax)
		return nil, false
	}
	s.at++
	s.space()
	return key, escaped
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// string reads a string, from its quote to its quote, eight bytes at a time.
func (s *scan) string() (escaped bool) {
	b, i := s.b, s.at+1
	for {
		for i+8 <= len(b) {
			x := binary.LittleEndian.Uint64(b[i:])
			quote, slash := x^'"'*ones, x^'\\'*ones
			// Of each test the lowest bit that is set is exact, and only that is used.
			m := ((quote-ones)&^quote | (slash-ones)&^slash | (x-' '*ones)&^x) & highs
			if m != 0 {
				i += bits.TrailingZeros64(m) / 8
				break
			}
			i += 8
		}
		for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
			i++
		}
		s.at = i
		switch s.peek() {
		case '"':
			s.at++
			return escaped
		case '\\':
			escaped = true
			i = s.escape()
		default:
			s.fail(ErrSyntax)
		}
		if s.cause != nil {
			return escaped
		}
	}
}

// escape checks the escape at the next byte and returns where it ends.
func (s *scan) escape() int {
	if s.at+1 < len(s.b) {
		switch s.b[s.at+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			return s.at + 2
		case 'u':
			if hex4(s.b, s.at+2) >= 0 {
				return s.at + 6
			}
		}
	}
	s.fail(ErrSyntax)
	return s.at
}

func (s *scan) word(w string) {
	if len(s.b)-s.at < len(w) || string(s.b[s.at:s.at+len(w)]) != w {
		s.fail(ErrSyntax)
		return
	}
	s.at += len(w)
}

// number reads a number by RFC 8259, section 6.
func (s *scan) number() {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else {
		s.digits()
	}
	if s.peek() == '.' {
		s.at++
		s.digits()
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		s.digits()
	}
}

// digits reads one digit or more.
func (s *scan) digits() {
	start := s.at
	for s.at < len(s.b) && s.b[s.at]-'0' < 10 {
		s.at++
	}
	if s.at == start {
		s.fail(ErrSyntax)
	}
}
