package agent

import (
	"bytes"
	"unicode/utf8"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// A logfmt line is made of pairs key=value and nothing else; values with blanks stand in double quotes with the escapes of Go.
//
// The first key that is a level, a time or the message becomes "level", "time" or "message". Numbers, true and false that are not quoted are
// numbers and truth values. A key whose name is taken already is written below "fields.", as logrus does.
type logfmt struct {
	cal    *calendar
	strict bool // every word must be a pair

	body       []byte
	value      []byte
	stamp      []byte
	level      grade
	hasLevel   bool
	hasTime    bool
	hasMessage bool
	taken      [3]bool // level, time, message are names of the object
	hasStream  bool
	pairs      int
}

// The least that a strict line must be: two pairs, or one that is the message.
const leastPairs = 2

// parse fills the draft and reports whether the line is logfmt.
func (f *logfmt) parse(r *draft, line, field []byte) bool {
	f.level, f.hasLevel, f.hasTime, f.hasMessage = noGrade, false, false, false
	f.taken, f.hasStream, f.pairs = [3]bool{}, false, 0
	f.body = append(f.body[:0], '{')
	if !f.members(line) || f.pairs < leastPairs && !(f.pairs == 1 && f.hasMessage) {
		return false
	}
	if len(field) > 0 && !f.hasStream {
		f.body = append(f.body, field...)
	}
	f.body = append(f.body, '}')
	r.body, r.level, r.timeless = f.body, f.level.level, !f.hasTime
	return true
}

// pairsOnly puts pairs that go with a header into body, without its last brace: level, time and message are the header's.
func (f *logfmt) pairsOnly(text []byte) bool {
	f.level, f.hasLevel, f.hasTime, f.hasMessage = noGrade, false, false, false
	f.taken, f.hasStream, f.pairs = [3]bool{true, true, true}, false, 0
	f.body = append(f.body[:0], '{')
	return f.members(text)
}

// members appends all pairs of the text.
func (f *logfmt) members(text []byte) bool {
	for {
		text = bytes.TrimLeft(text, " \t")
		if len(text) == 0 {
			return true
		}
		n := keyLen(text)
		if n == 0 || f.strict && (n == len(text) || text[n] != '=' || !nameStart(text[0])) {
			return false
		}
		key := text[:n]
		text = text[n:]
		if len(text) == 0 || text[0] != '=' {
			if len(text) > 0 && text[0] != ' ' && text[0] != '\t' {
				return false
			}
			f.member(key, []byte("true"), false)
			continue
		}
		var quoted, ok bool
		if text, quoted, ok = f.read(text[1:]); !ok {
			return false
		}
		f.member(key, f.value, quoted)
	}
}

// keyLen is the length of the key that text begins with.
func keyLen(text []byte) int {
	for i, c := range text {
		if c <= ' ' || c == '=' || c == '"' || c == 0x7f {
			return i
		}
	}
	return len(text)
}

func nameStart(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || c == '@' || c >= utf8.RuneSelf
}

// read takes a value from the text into f.value and returns what follows.
func (f *logfmt) read(text []byte) (rest []byte, quoted, ok bool) {
	if len(text) > 0 && text[0] == '"' {
		f.value, rest, ok = unquote(f.value[:0], text)
		return rest, true, ok && (len(rest) == 0 || rest[0] == ' ' || rest[0] == '\t')
	}
	n := 0
	for n < len(text) && text[n] > ' ' {
		if text[n] == '"' && f.strict {
			return nil, false, false
		}
		n++
	}
	f.value = append(f.value[:0], text[:n]...)
	return text[n:], false, n == len(text) || text[n] == ' ' || text[n] == '\t'
}

// member appends one pair to the object.
func (f *logfmt) member(key, value []byte, quoted bool) {
	f.pairs++
	switch text2string(key) {
	case "level", "lvl", "severity", "loglevel", "levelname":
		if g, ok := gradeOf(value); ok && !f.hasLevel && !f.taken[0] {
			f.setLevel(g, value)
			return
		}
	case "time", "ts", "timestamp", "t", "@timestamp", "asctime":
		if t, same, ok := f.timeOf(value); ok && !f.hasTime && !f.taken[1] {
			f.hasTime, f.taken[1] = true, true
			if f.name("time"); same {
				f.body = appendQuoted(f.body, value)
			} else {
				f.body = append(append(append(f.body, '"'), t...), '"')
			}
			return
		}
	case streamKey:
		f.hasStream = true
	case "msg", "message":
		if !f.taken[2] {
			f.hasMessage, f.taken[2] = true, true
			f.name("message")
			f.body = appendQuoted(f.body, value)
			return
		}
	}
	f.other(key, value, quoted)
}

func (f *logfmt) setLevel(g grade, word []byte) {
	f.level, f.hasLevel, f.taken[0] = g, true, true
	f.name("level")
	f.body = entry.AppendString(f.body, g.level.String())
	if !g.exact {
		f.name(severityKey)
		f.body = appendQuoted(f.body, word)
	}
}

// timeOf reads a time; same means that it is RFC 3339 already, else text is that.
func (f *logfmt) timeOf(value []byte) (text []byte, same, ok bool) {
	if len(value) > 64 {
		return nil, false, false
	}
	if _, ok := entry.ParseTime(text2string(value)); ok {
		return nil, true, true
	}
	t, ok := f.cal.whole(value)
	if !ok && isDecimal(value) {
		t, ok = entry.Value{Raw: value, Kind: entry.Number}.Time()
		ok = ok && plausible(t)
	}
	if !ok {
		return nil, false, false
	}
	f.stamp = appendTime(f.stamp[:0], t)
	return f.stamp, false, true
}

// other appends a pair that is the program's own.
func (f *logfmt) other(key, value []byte, quoted bool) {
	prefix := ""
	for i, name := range [...]string{"level", "time", "message"} {
		if string(key) == name {
			if f.taken[i] {
				prefix = "fields."
			}
			f.taken[i] = true
		}
	}
	f.comma()
	f.body = append(f.body, '"')
	f.body = append(f.body, prefix...)
	f.body = append(appendInside(f.body, key), `":`...)
	if !quoted && bare(value) {
		f.body = append(f.body, value...)
		return
	}
	f.body = appendQuoted(f.body, value)
}

func (f *logfmt) name(name string) {
	f.comma()
	f.body = appendName(f.body, name)
}

func (f *logfmt) comma() {
	if f.body[len(f.body)-1] != '{' {
		f.body = append(f.body, ',')
	}
}

// appendInside appends text as the inside of a JSON string.
func appendInside(dst, text []byte) []byte {
	at := len(dst)
	dst = appendQuoted(dst, text)
	copy(dst[at:], dst[at+1:])
	return dst[:len(dst)-2]
}

// bare reports whether a value that was not quoted can stand in JSON as it is.
func bare(value []byte) bool {
	return string(value) == "true" || string(value) == "false" || isNumber(value)
}

// isNumber reports whether text is a JSON number that other programs read without loss: of at most 15 digits.
func isNumber(text []byte) bool {
	b := bytes.TrimPrefix(text, []byte("-"))
	if len(b) == 0 || len(b) > 16 {
		return false
	}
	whole, fraction, dot := bytes.Cut(b, []byte("."))
	if len(whole) == 0 || len(whole) > 1 && whole[0] == '0' || dot && len(fraction) == 0 || len(whole)+len(fraction) > 15 {
		return false
	}
	return allDigits(whole) && allDigits(fraction)
}

// isDecimal reports whether text is digits, with a fraction or without.
func isDecimal(text []byte) bool {
	whole, fraction, _ := bytes.Cut(text, []byte("."))
	return len(whole) > 0 && len(text) <= 32 && allDigits(whole) && allDigits(fraction)
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if !isDigit(c) {
			return false
		}
	}
	return true
}

// unquote appends what stands in the double quotes that text begins with, and returns what follows them.
func unquote(dst, text []byte) (value, rest []byte, ok bool) {
	for i := 1; i < len(text); {
		switch c := text[i]; {
		case c == '"':
			return dst, text[i+1:], true
		case c == '\\' && i+1 < len(text):
			var n int
			dst, n = unescape(dst, text[i:])
			i += n
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst, nil, false
}

// unescape appends what an escape of Go or JSON stands for and returns its length. One that is none stays as it is.
func unescape(dst, text []byte) ([]byte, int) {
	size := 0
	switch c := text[1]; c {
	case '"', '\\', '/', '\'':
		return append(dst, c), 2
	case 'n':
		return append(dst, '\n'), 2
	case 't':
		return append(dst, '\t'), 2
	case 'r':
		return append(dst, '\r'), 2
	case 'a', 'b', 'f', 'v':
		return append(dst, map[byte]byte{'a': 7, 'b': 8, 'f': 12, 'v': 11}[c]), 2
	case 'x':
		size = 2
	case 'u':
		size = 4
	case 'U':
		size = 8
	}
	if size == 0 || len(text) < 2+size {
		return append(dst, '\\'), 1
	}
	v, ok := hexadecimal(text[2 : 2+size])
	switch {
	case !ok:
		return append(dst, '\\'), 1
	case size == 2:
		return append(dst, byte(v)), 4
	}
	return utf8.AppendRune(dst, rune(v)), 2 + size
}

func hexadecimal(b []byte) (uint32, bool) {
	var v uint32
	for _, c := range b {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint32(c)
	}
	return v, true
}
