package task

import (
	"strings"
	"unicode/utf8"
)

const upperHex = "0123456789ABCDEF"

// EscapeName returns the name as it stands in a path. See AppendName.
func EscapeName(name string) string {
	if plainName(name) {
		return name
	}
	return string(AppendName(make([]byte, 0, len(name)+8), name))
}

// AppendName appends the name as it stands in a path: "/", "=", control characters and
// bytes that are not UTF-8 become =HH, with upper-case digits, byte by byte; the empty
// name becomes "=". All else stays as it is, so a path reads as it was said.
func AppendName(dst []byte, name string) []byte {
	if name == "" {
		return append(dst, '=')
	}
	for i := 0; i < len(name); {
		n, plain := nameRune(name[i:])
		if plain {
			dst = append(dst, name[i:i+n]...)
		} else {
			dst = appendEscaped(dst, name[i:i+n])
		}
		i += n
	}
	return dst
}

func plainName(name string) bool {
	for i := 0; i < len(name); {
		n, plain := nameRune(name[i:])
		if !plain {
			return false
		}
		i += n
	}
	return name != ""
}

// nameRune returns the length of the first character and whether a path holds it as it is.
func nameRune(s string) (n int, plain bool) {
	if c := s[0]; c < utf8.RuneSelf {
		return 1, c >= ' ' && c != 0x7f && c != '/' && c != '='
	}
	r, n := utf8.DecodeRuneInString(s)
	c1 := r < 0xa0 // the second block of control characters, U+0080 to U+009F
	return n, !c1 && (r != utf8.RuneError || n > 1)
}

func appendEscaped(dst []byte, s string) []byte {
	for i := range len(s) {
		dst = append(dst, '=', upperHex[s[i]>>4], upperHex[s[i]&15])
	}
	return dst
}

// AppendSafe appends the name with every byte but A-Z, a-z, 0-9, "_" and "-" as =HH: the
// form that subjects and tokens hold. The name "-" becomes "=2D", because a subject's "-"
// stands for no task at all, and the empty name becomes "=". Nothing is folded or cut here.
func AppendSafe(dst []byte, name string) []byte {
	switch name {
	case "":
		return append(dst, '=')
	case "-":
		return append(dst, "=2D"...)
	}
	for i := range len(name) {
		if c := name[i]; IsSafe(c) {
			dst = append(dst, c)
		} else {
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

// IsSafe reports whether AppendSafe leaves the byte as it is: A-Z, a-z, 0-9, "_" and "-".
func IsSafe(c byte) bool { return safe[c] }

var safe = func() (t [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-" {
		t[c] = true
	}
	return t
}()

// UnescapeName returns the name that EscapeName or AppendSafe was given. An "=" that no
// two upper-case hex digits follow is no escape and stays, but alone is the empty name.
func UnescapeName(s string) string {
	switch {
	case s == "=":
		return ""
	case strings.IndexByte(s, '=') < 0:
		return s
	}
	return string(AppendUnescaped(make([]byte, 0, len(s)), s))
}

// AppendUnescaped appends what UnescapeName returns.
func AppendUnescaped(dst []byte, s string) []byte {
	if s == "=" {
		return dst
	}
	for i := 0; i < len(s); i++ {
		if c, ok := escapeAt(s, i); ok {
			dst = append(dst, c)
			i += 2
			continue
		}
		dst = append(dst, s[i])
	}
	return dst
}

// escapeAt returns the byte that an escape at s[i:] stands for.
func escapeAt(s string, i int) (byte, bool) {
	if s[i] != '=' || i+2 >= len(s) {
		return 0, false
	}
	hi, lo := upperDigit(s[i+1]), upperDigit(s[i+2])
	return hi<<4 | lo&15, hi|lo < 16
}

// upperDigit returns the value of an upper-case hex digit, 255 for anything else.
func upperDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// JoinPath returns the path of the task called name below the task at parent; parent is
// "" for an outermost one. The name is escaped here.
func JoinPath(parent, name string) string {
	name = EscapeName(name)
	if parent == "" {
		return name
	}
	return parent + "/" + name
}

// SplitPath returns the unescaped names of a path, none for "".
func SplitPath(path string) []string {
	if path == "" {
		return nil
	}
	names := strings.Split(path, "/")
	for i, name := range names {
		names[i] = UnescapeName(name)
	}
	return names
}

// BaseName returns the last name of a path, unescaped.
func BaseName(path string) string {
	return UnescapeName(path[strings.LastIndexByte(path, '/')+1:])
}
