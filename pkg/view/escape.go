package view

import (
	"fmt"
	"unicode/utf8"
)

const lowerHex = "0123456789abcdef"

// Escape appends s so that a terminal shows it and never obeys it. Newline, tab
// and carriage return become \n, \t, \r; the other C0 characters, DEL and bytes
// that are not UTF-8 become \x1b and the like; C1 characters, bidirectional
// marks and overrides, line and paragraph separators and the byte order mark
// become \u202e and the like. Everything else stays as it is.
func Escape(dst []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if esc := escaped(r, n, s[i]); esc != "" {
			dst = append(dst, esc...)
		} else {
			dst = append(dst, s[i:i+n]...)
		}
		i += n
	}
	return dst
}

// escaped returns what is written instead of a rune of n bytes, the first of
// which is b; "" where the rune stays.
func escaped(r rune, n int, b byte) string {
	switch {
	case r == utf8.RuneError && n == 1:
		return byteEscape(b)
	case r >= ' ' && r < 0x7f:
		return ""
	case r == '\n':
		return `\n`
	case r == '\t':
		return `\t`
	case r == '\r':
		return `\r`
	case r < ' ' || r == 0x7f:
		return byteEscape(b)
	case hostile(r):
		return fmt.Sprintf(`\u%04x`, r)
	}
	return ""
}

func byteEscape(b byte) string {
	return string([]byte{'\\', 'x', lowerHex[b>>4], lowerHex[b&15]})
}

// hostile reports whether a terminal may obey r, or r may change the order or
// the lines of what it shows.
func hostile(r rune) bool {
	switch {
	case r >= 0x80 && r <= 0x9f: // C1: CSI and OSC in one character
	case r == 0x61c || r == 0x200e || r == 0x200f: // bidirectional marks
	case r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069: // embeddings, overrides, isolates
	case r == 0x2028 || r == 0x2029: // line and paragraph separators
	case r == 0xfeff: // invisible
	default:
		return false
	}
	return true
}
