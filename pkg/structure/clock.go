package structure

import (
	"sync/atomic"
	"time"
)

// clock writes points in time as RFC 3339 in UTC with microseconds. The text of the current second is kept, because formatting it
// would be a third of the cost of a whole call.
type clock struct {
	second atomic.Pointer[secondText]
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
	micros := t.Nanosecond() / 1000
	var digits [8]byte
	digits[0], digits[7] = '.', 'Z'
	for i := 6; i > 0; i-- {
		digits[i] = byte('0' + micros%10)
		micros /= 10
	}
	return append(dst, digits[:]...)
}
