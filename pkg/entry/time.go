package entry

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

// Time reads a time out of a value: RFC 3339 text or a number since 1970. See ParseTime.
func (v Value) Time() (time.Time, bool) {
	switch v.Kind {
	case String:
		return parseTime(v.Text(nil))
	case Number:
		return unixTime(v)
	}
	return time.Time{}, false
}

// ParseTime reads RFC 3339 with any fraction of the second, in UTC. Numbers, which only
// JSON can tell from text, are read by Value.Time: as seconds below 1e11 (the year 5138),
// milliseconds below 1e14, microseconds below 1e17, else nanoseconds: the four forms that
// zerolog writes, and Eliot's seconds with a fraction.
func ParseTime(s string) (time.Time, bool) { return parseTime([]byte(s)) }

func parseTime(b []byte) (time.Time, bool) {
	if len(b) > 64 {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return time.Time{}, false
	}
	return t.UTC(), true
}

// unixTime reads integers exactly and fractions to the microsecond, which is what Python's
// floats hold of a time.
func unixTime(v Value) (time.Time, bool) {
	if !bytes.ContainsAny(v.Raw, ".eE") {
		n, err := strconv.ParseInt(string(v.Raw), 10, 64)
		if err != nil {
			return time.Time{}, false
		}
		return unixInteger(n), true
	}
	f, ok := v.Number()
	if !ok || math.Abs(f) >= math.MaxInt64 {
		return time.Time{}, false
	}
	if math.Abs(f) >= 1e11 {
		return unixInteger(int64(f)), true
	}
	return time.UnixMicro(int64(math.Round(f * 1e6))).UTC(), true
}

func unixInteger(n int64) time.Time {
	switch a := max(n, -n); {
	case 0 <= a && a < 1e11: // -n of the least integer is itself
		return time.Unix(n, 0).UTC()
	case 0 <= a && a < 1e14:
		return time.UnixMilli(n).UTC()
	case 0 <= a && a < 1e17:
		return time.UnixMicro(n).UTC()
	}
	return time.Unix(0, n).UTC()
}
