package structure

import (
	"sync/atomic"
	"time"
)

// clock writes points in time as RFC 3339 in UTC with microseconds. The text of the current second is kept, because formatting it
// would be a third of the cost of a whole call.
type clock struct {
	second  atomic.Pointer[secondText]
	current atomic.Pointer[currentText]
}

type secondText struct {
	unix int64
	text [len("2006-01-02T15:04:05")]byte
}

// timeLen is the length of what append adds.
const timeLen = len("2006-01-02T15:04:05.000000Z")

func (c *clock) append(dst []byte, t time.Time) []byte {
	s := c.second.Load()
	if unix := t.Unix(); s == nil || s.unix != unix {
		s = &secondText{unix: unix}
		year := t.UTC().Year()
		if year < 0 || year > 9999 { // no RFC 3339 text exists
			return t.UTC().AppendFormat(dst, time.RFC3339Nano)
		}
		t.UTC().AppendFormat(s.text[:0], "2006-01-02T15:04:05")
		c.second.Store(s)
	}
	dst = append(dst, s.text[:]...)
	return appendMicros(dst, int64(t.Nanosecond()/1000))
}

// currentText is the present second, for appendNow.
type currentText struct {
	text   [len("2006-01-02T15:04:05")]byte
	base   time.Time     // a reading of both clocks in this second
	micros int64         // that base is into it
	left   time.Duration // of the second, from base on
}

// appendNow appends the present time. Reading the wall clock and the monotonic one, as time.Now does, takes twice as long as reading one of them, and is the
// greatest part of a logger call; so the wall clock is read once a second, and what has passed since is added. A step of the wall clock is
// followed within a second.
func (c *clock) appendNow(dst []byte) []byte {
	s := c.current.Load()
	if s == nil {
		return c.nextSecond(dst)
	}
	d := time.Since(s.base)
	if d >= s.left || d < 0 {
		return c.nextSecond(dst)
	}
	return appendMicros(append(dst, s.text[:]...), s.micros+int64(d/time.Microsecond))
}

func (c *clock) nextSecond(dst []byte) []byte {
	now := time.Now()
	from := len(dst)
	dst = c.append(dst, now)
	if len(dst)-from != timeLen {
		return dst // a year that RFC 3339 does not know
	}
	into := time.Duration(now.Nanosecond())
	s := &currentText{base: now, micros: int64(into / time.Microsecond), left: time.Second - into}
	copy(s.text[:], dst[from:])
	c.current.Store(s)
	return dst
}

func appendMicros(dst []byte, micros int64) []byte {
	var digits [8]byte
	digits[0], digits[7] = '.', 'Z'
	for i := 5; i > 0; i -= 2 {
		two := micros % 100 * 2
		micros /= 100
		digits[i], digits[i+1] = twoDigits[two], twoDigits[two+1]
	}
	return append(dst, digits[:]...)
}
