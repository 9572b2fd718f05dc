package entry

import (
	"iter"
	"strings"
)

// Members yields the members of a JSON object in the order of the text: the name, a string
// value, and the value. It stops at the first mistake in the JSON, so on text that was not
// checked before it may yield fewer members than there are.
func Members(object []byte) iter.Seq2[Value, Value] {
	return func(yield func(name, value Value) bool) {
		s := scan{b: object}
		s.space()
		if s.peek() != '{' {
			return
		}
		for more := s.enter('}', 1); more; more = s.next('}') {
			name, value := s.member()
			if s.cause != nil || !yield(name, value) {
				return
			}
		}
	}
}

// Elements yields the elements of a JSON array, with the same reserve as Members.
func Elements(array []byte) iter.Seq[Value] {
	return func(yield func(Value) bool) {
		s := scan{b: array}
		s.space()
		if s.peek() != '[' {
			return
		}
		for more := s.enter(']', 1); more; more = s.next(']') {
			v := s.take()
			if s.cause != nil || !yield(v) {
				return
			}
		}
	}
}

func (s *scan) member() (name, value Value) {
	start := s.at
	key, _ := s.key()
	if s.cause != nil {
		return Value{}, Value{}
	}
	end := start + len(key) + 2
	name = Value{Raw: s.b[start:end:end], Kind: String, at: int32(start)}
	return name, s.take()
}

// take reads a value and returns the view of it.
func (s *scan) take() Value {
	start := s.at
	kind := s.value(1)
	if s.cause != nil {
		return Value{}
	}
	return Value{Raw: s.b[start:s.at:s.at], Kind: kind, at: int32(start)}
}

// Lookup finds one dotted key in a JSON object, as Keys.Scan does, without compiling it.
// Who looks at many lines compiles.
func Lookup(object []byte, path string) (Value, bool) {
	if v := member(object, path); v.Present() {
		return v, true
	}
	base := 0
	for {
		name, rest, more := strings.Cut(path, ".")
		v := member(object, name)
		if !v.Present() || more && v.Kind != Object {
			return Value{}, false
		}
		v.at += int32(base)
		if !more {
			return v, true
		}
		object, path, base = v.Raw, rest, v.At()
	}
}

// member returns the last member of that name.
func member(object []byte, name string) Value {
	var buf [128]byte
	var found Value
	for n, v := range Members(object) {
		if string(n.Text(buf[:])) == name {
			found = v
		}
	}
	return found
}
