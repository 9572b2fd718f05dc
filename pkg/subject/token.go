package subject

import (
	"crypto/sha256"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/task"
)

const (
	maxToken = 64 // bytes of a token
	cutKept  = 55 // of which a token that was cut keeps so many, before "_" and 8 hex digits

	foldDigits = 4 // length from which a run of digits is taken for an id
	foldHex    = 8 // the same for hex digits
)

// Token returns the token of a task's name: folded, escaped, cut.
func Token(name string) string {
	var buf [2 * maxToken]byte
	return string(appendName(buf[:0], name))
}

// ServiceToken returns the token of a service: escaped and cut, never folded; "-" for "".
func ServiceToken(service string) string {
	var buf [2 * maxToken]byte
	return string(appendService(buf[:0], service))
}

func appendService(dst []byte, service string) []byte {
	if service == "" {
		return append(dst, none...)
	}
	start := len(dst)
	return cut(task.AppendSafe(dst, service), start)
}

// appendEscapedName appends the token of a name as it stands in a path.
func appendEscapedName(dst []byte, name string) []byte {
	if strings.IndexByte(name, '=') < 0 {
		return appendName(dst, name)
	}
	var buf [maxToken]byte
	return appendName(dst, string(task.AppendUnescaped(buf[:0], name)))
}

// appendName appends the token of a raw name.
func appendName(dst []byte, name string) []byte {
	start := len(dst)
	for {
		from, to := findID(name)
		if from < 0 {
			break
		}
		dst = appendPart(dst, name[:from])
		dst = append(dst, '=')
		name = name[to:]
	}
	if len(dst) == start { // nothing was folded: "" and "-" have forms of their own
		dst = task.AppendSafe(dst, name)
	} else {
		dst = appendPart(dst, name)
	}
	return cut(dst, start)
}

// appendPart appends a part of a name, which may be empty or "-" without meaning anything by it.
func appendPart(dst []byte, part string) []byte {
	switch part {
	case "", none:
		return append(dst, part...)
	}
	return task.AppendSafe(dst, part)
}

// findID returns where the first id in a raw name begins and ends: a run of foldDigits digits
// or foldHex hex digits, with all hex digits that follow. It returns -1 where there is none.
func findID(name string) (from, to int) {
	hex, digits := 0, 0
	for i := range len(name) {
		switch kind := digitKind[name[i]]; kind {
		case 0:
			hex, digits = 0, 0
			continue
		case decDigit:
			digits++
		default:
			digits = 0
		}
		hex++
		if hex == foldHex {
			return i + 1 - hex, hexEnd(name, i+1)
		}
		if digits == foldDigits {
			return digitsFrom(name, i+1, hex), hexEnd(name, i+1)
		}
	}
	return -1, -1
}

// digitsFrom returns where the id begins that a run of foldDigits digits up to end makes: at
// the digits, or at the beginning of the hex digits around them if these are enough.
func digitsFrom(name string, end, hex int) int {
	if hexEnd(name, end)-(end-hex) >= foldHex {
		return end - hex
	}
	return end - foldDigits
}

func hexEnd(name string, i int) int {
	for i < len(name) && digitKind[name[i]] != 0 {
		i++
	}
	return i
}

const (
	hexLetter = 1
	decDigit  = 2
)

// digitKind holds what kind of digit a byte is, 0 for none.
var digitKind = func() (t [256]uint8) {
	for _, c := range "abcdefABCDEF" {
		t[c] = hexLetter
	}
	for _, c := range "0123456789" {
		t[c] = decDigit
	}
	return t
}()

// cut shortens the token that begins at start.
func cut(dst []byte, start int) []byte {
	token := dst[start:]
	if len(token) <= maxToken {
		return dst
	}
	sum := sha256.Sum256(token)
	dst = append(dst[:start+cutKept], '_')
	const digits = "0123456789abcdef"
	for _, c := range sum[:4] {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}

// lossyNames reports whether any of the tokens was folded or cut.
func lossyNames(names string) bool {
	if len(names) < maxToken && strings.IndexByte(names, '=') < 0 {
		return false
	}
	for more := true; more; {
		var token string
		token, names, more = strings.Cut(names, ".")
		if lossyToken(token) {
			return true
		}
	}
	return false
}

// lossyToken reports whether a token was folded, which leaves an "=" that is no escape, or
// looks as if it was cut.
func lossyToken(token string) bool {
	return folded(token) || wasCut(token)
}

func folded(token string) bool {
	for i := strings.IndexByte(token, '='); i >= 0 && i < len(token); i++ {
		if token[i] != '=' {
			continue
		}
		if i+2 >= len(token) || !upperHex(token[i+1]) || !upperHex(token[i+2]) {
			return true
		}
		i += 2
	}
	return false
}

func upperHex(c byte) bool { return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' }

func wasCut(token string) bool {
	if len(token) != maxToken || token[cutKept] != '_' {
		return false
	}
	for _, c := range []byte(token[cutKept+1:]) {
		if ('0' > c || c > '9') && ('a' > c || c > 'f') {
			return false
		}
	}
	return true
}
