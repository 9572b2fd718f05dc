package task

import (
	"crypto/rand"
	"encoding/binary"
)

// base32 is the lower-case alphabet of RFC 4648, section 6.
const base32 = "abcdefghijklmnopqrstuvwxyz234567"

const attemptBits = 25

// NewAttempt returns 25 random bits as 5 of a-z2-7.
func NewAttempt() string {
	var b [4]byte
	_, _ = rand.Read(b[:])
	return formatAttempt(uint64(binary.BigEndian.Uint32(b[:]) >> (32 - attemptBits)))
}

func formatAttempt(bits uint64) string {
	var out [attemptLen]byte
	for i := range out {
		out[i] = base32[bits>>(attemptBits-5*(i+1))&31]
	}
	return string(out[:])
}

// attemptValue returns the 25 bits of a valid attempt.
func attemptValue(s string) uint64 {
	var bits uint64
	for i := range len(s) {
		bits = bits<<5 | uint64(base32Value(s[i])&31)
	}
	return bits
}

// base32Value returns the value of a digit of an attempt, 255 for anything else.
func base32Value(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z':
		return c - 'a'
	case '2' <= c && c <= '7':
		return c - '2' + 26
	}
	return 255
}

// ForeignPosition returns the position of a task that continues a stranger's span: the
// task of a W3C traceparent that came without a token.
func ForeignPosition(span [8]byte, attempt string) Position {
	dst := make([]byte, 0, foreignLen)
	dst = append(appendHex(append(dst, 'x'), span[:]), '~')
	return Position(append(dst, attempt...))
}
