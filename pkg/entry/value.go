package entry

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Kind is the type of a JSON value.
type Kind uint8

// The kinds. Absent, the zero value, means that a line has no such field.
const (
	Absent Kind = iota
	String
	Number
	Bool
	Null
	Object
	Array
)

// Value is a view of one value in a scanned line. It shares the line's memory: who keeps
// it longer than the line copies it.
type Value struct {
	Raw  []byte // the JSON as it stands, quotes included; nil where Absent
	Kind Kind

	literal bool // found under a key that itself holds the dots
	at      int32
}

// At returns the offset of Raw in the scanned line.
func (v Value) At() int { return int(v.at) }

// Present reports whether the line has the field, be it null.
func (v Value) Present() bool { return v.Kind != Absent }

// Text returns the text of a string without quotes and escapes, with U+FFFD for what is
// not UTF-8 and for halves of surrogate pairs; of any other value it returns the JSON.
// The result is part of Raw where nothing had to be changed, else it is built in buf[:0]:
// valid as long as both stay unchanged. It allocates only where buf is too small.
func (v Value) Text(buf []byte) []byte {
	if v.Kind != String || len(v.Raw) < 2 {
		return v.Raw
	}
	inner := v.Raw[1 : len(v.Raw)-1]
	if plainText(inner) {
		return inner
	}
	return appendUnquoted(buf[:0], inner)
}

// Number returns the number; false where the value is none, or beyond a float64.
func (v Value) Number() (float64, bool) {
	if v.Kind != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v.Raw), 64)
	return f, err == nil
}

// Uint returns the number where it is written as an integer from 0 to 2^64-1, without
// fraction and exponent.
func (v Value) Uint() (uint64, bool) {
	if v.Kind != Number || len(v.Raw) > 20 {
		return 0, false
	}
	n, err := strconv.ParseUint(string(v.Raw), 10, 64)
	return n, err == nil
}

// Bool returns the value of true or false, and whether it is one of them.
func (v Value) Bool() (value, ok bool) {
	return v.Kind == Bool && v.Raw[0] == 't', v.Kind == Bool
}

// plainText reports whether the inside of a JSON string stands for itself.
func plainText(s []byte) bool {
	ascii := true
	for _, c := range s {
		if c == '\\' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(s)
}

// appendUnquoted appends the text that the inside of a valid JSON string stands for.
func appendUnquoted(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '\\':
			var r rune
			r, i = unescape(s, i)
			dst = utf8.AppendRune(dst, r)
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRune(s[i:])
			dst = utf8.AppendRune(dst, r) // U+FFFD for a byte that is not UTF-8
			i += n
		}
	}
	return dst
}

// unescape reads the escape at s[i] and returns its character and where it ends.
func unescape(s []byte, i int) (rune, int) {
	if i+1 >= len(s) {
		return utf8.RuneError, len(s)
	}
	switch c := s[i+1]; c {
	case 'b':
		return '\b', i + 2
	case 'f':
		return '\f', i + 2
	case 'n':
		return '\n', i + 2
	case 'r':
		return '\r', i + 2
	case 't':
		return '\t', i + 2
	case 'u':
		return unescapeUnicode(s, i)
	default:
		return rune(c), i + 2
	}
}

func unescapeUnicode(s []byte, i int) (rune, int) {
	r := hex4(s, i+2)
	if r < 0 {
		return utf8.RuneError, len(s)
	}
	if !utf16.IsSurrogate(r) {
		return r, i + 6
	}
	if i+7 < len(s) && s[i+6] == '\\' && s[i+7] == 'u' {
		if pair := utf16.DecodeRune(r, hex4(s, i+8)); pair != utf8.RuneError {
			return pair, i + 12
		}
	}
	return utf8.RuneError, i + 6
}

// hex4 returns the value of four hex digits at s[i:], -1 where they are not there.
func hex4(s []byte, i int) rune {
	if i+4 > len(s) {
		return -1
	}
	var r rune
	for _, c := range s[i : i+4] {
		d := hexDigit[c]
		if d > 15 {
			return -1
		}
		r = r<<4 | rune(d)
	}
	return r
}

// hexDigit holds the value of each hex digit of either case, 255 for all other bytes.
var hexDigit = func() (t [256]uint8) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		t[c] = uint8(i)
	}
	for i, c := range "ABCDEF" {
		t[c] = uint8(10 + i)
	}
	return t
}()

const lowerHex = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are not UTF-8 become U+FFFD, so the
// result is always valid.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		dst = append(dst, s[start:i]...)
		dst = appendEscape(dst, c)
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// appendEscape appends what stands for a byte that a JSON string cannot hold as it is.
func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if c >= utf8.RuneSelf {
		return utf8.AppendRune(dst, utf8.RuneError)
	}
	return append(dst, '\\', 'u', '0', '0', lowerHex[c>>4], lowerHex[c&15])
}
