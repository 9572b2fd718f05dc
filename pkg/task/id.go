package task

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// Trace identifies one tree of tasks. New ones are UUIDs of version 7 (RFC 9562), so
// they sort by the time they were made and serve as W3C trace ids as they stand; traces
// that come from strangers may be any 16 bytes that are not all zero.
type Trace [16]byte

// Process identifies one run of one program: 8 random bytes. Together with a counter
// of its entries it identifies an entry.
type Process [8]byte

var (
	errLength = errors.New("wrong length")
	errHex    = errors.New("not lower-case hex digits")
	errZero   = errors.New("all zero")
)

// lastTick is the greatest time that a trace of this process was given, in 1/4096 ms.
var lastTick atomic.Uint64

// NewTrace returns a new trace. Traces made by one process are strictly increasing,
// between processes they are as well ordered as the machines' clocks.
func NewTrace() Trace {
	var t Trace
	// Read never fails: since Go 1.24 the program ends if the system has no randomness.
	_, _ = rand.Read(t[8:])
	tick := nextTick(time.Now())
	binary.BigEndian.PutUint64(t[:8], tick>>12<<16|0x7000|tick&0xfff)
	t[8] = t[8]&0x3f | 0x80
	return t
}

// nextTick turns the time into 48 bits of milliseconds and 12 bits of fraction
// (RFC 9562, section 6.2, method 3), one more than the last where the clock stands.
func nextTick(now time.Time) uint64 {
	ns := uint64(max(now.UnixNano(), 0))
	tick := ns/1e6<<12 | ns%1e6<<12/1e6
	for {
		last := lastTick.Load()
		next := max(tick, last+1)
		if lastTick.CompareAndSwap(last, next) {
			return next
		}
	}
}

// ParseTrace reads 32 lower-case hex digits that are not all zero.
func ParseTrace(s string) (Trace, error) {
	var t Trace
	if err := parseHex(t[:], s); err != nil {
		return Trace{}, fmt.Errorf("parse trace %s: %w", quote(s), err)
	}
	return t, nil
}

// String returns 32 lower-case hex digits.
func (t Trace) String() string { return string(t.AppendTo(make([]byte, 0, 32))) }

// AppendTo appends what String returns.
func (t Trace) AppendTo(dst []byte) []byte { return appendHex(dst, t[:]) }

// IsZero reports whether t is no trace.
func (t Trace) IsZero() bool { return t == Trace{} }

// Time returns when the trace was made, to the millisecond, or false where t is not a
// UUID of version 7 and so holds no time.
func (t Trace) Time() (time.Time, bool) {
	if t[6]>>4 != 7 || t[8]>>6 != 2 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(t[:8]) >> 16)).UTC(), true
}

// NewProcess returns a new random process id, never zero.
func NewProcess() Process {
	var p Process
	for p.IsZero() {
		_, _ = rand.Read(p[:])
	}
	return p
}

// ParseProcess reads 16 lower-case hex digits that are not all zero.
func ParseProcess(s string) (Process, error) {
	var p Process
	if err := parseHex(p[:], s); err != nil {
		return Process{}, fmt.Errorf("parse process %s: %w", quote(s), err)
	}
	return p, nil
}

// String returns 16 lower-case hex digits.
func (p Process) String() string { return string(p.AppendTo(make([]byte, 0, 16))) }

// AppendTo appends what String returns.
func (p Process) AppendTo(dst []byte) []byte { return appendHex(dst, p[:]) }

// IsZero reports whether p is no process.
func (p Process) IsZero() bool { return p == Process{} }

const lowerHex = "0123456789abcdef"

func appendHex(dst, src []byte) []byte {
	for _, c := range src {
		dst = append(dst, lowerHex[c>>4], lowerHex[c&15])
	}
	return dst
}

// parseHex fills dst from exactly as many lower-case digits as it needs.
// encoding/hex takes upper case too, which would give one trace two spellings.
func parseHex(dst []byte, s string) error {
	if len(s) != 2*len(dst) {
		return errLength
	}
	var all byte
	for i := range dst {
		hi, lo := lowerDigit(s[2*i]), lowerDigit(s[2*i+1])
		if hi|lo > 15 {
			return errHex
		}
		dst[i] = hi<<4 | lo
		all |= dst[i]
	}
	if all == 0 {
		return errZero
	}
	return nil
}

// lowerDigit returns the value of a lower-case hex digit, 255 for anything else.
func lowerDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

// quote shows hostile input in an error text without letting it fill the screen.
func quote(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q… (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
