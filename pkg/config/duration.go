package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Day is the d of durations: 24 hours, whatever the clocks do.
const Day = 24 * time.Hour

// Duration is a length of time, written "7d", "1h30m", "10 s" or "250ms".
type Duration time.Duration

type durationUnit struct {
	name string
	d    time.Duration
}

// durationUnits from the largest down; where one begins with another the longer
// stands where the loop in nextUnit meets it first.
var durationUnits = []durationUnit{
	{"d", Day},
	{"h", time.Hour},
	{"ms", time.Millisecond},
	{"m", time.Minute},
	{"s", time.Second},
	{"us", time.Microsecond},
	{"µs", time.Microsecond},
	{"ns", time.Nanosecond},
}

// ParseDuration reads a duration: one or more numbers, each with a unit of d, h,
// m, s, ms, us or ns, spaces allowed between. It is never negative. Only 0 needs
// no unit.
func ParseDuration(s string) (Duration, error) {
	rest := strings.TrimSpace(s)
	if rest == "0" {
		return 0, nil
	}
	total := time.Duration(0)
	for once := true; once || rest != ""; once = false {
		number, tail := splitUnit(rest)
		if _, err := strconv.ParseFloat(number, 64); err != nil {
			return 0, fmt.Errorf("%q is not a duration; write one like \"7d\", \"1h30m\" or \"250ms\"", s)
		}
		unit, ok := nextUnit(tail)
		if !ok && tail == "" {
			return 0, fmt.Errorf("%q is not a duration: the unit is missing; write %q or %q", s, number+"s", number+"m")
		}
		if !ok {
			return 0, fmt.Errorf("%q is not a duration: units are d, h, m, s and ms", s)
		}
		n, ok := times(number, int64(unit.d))
		if total += time.Duration(n); !ok || total < 0 {
			return 0, fmt.Errorf("%q is too long for a duration", s)
		}
		rest = strings.TrimSpace(tail[len(unit.name):])
	}
	return Duration(total), nil
}

// times multiplies a number that splitUnit cut with a unit: exactly where it is
// a whole one, rounded where it has a fraction. False: it does not fit.
func times(number string, unit int64) (int64, bool) {
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return n * unit, n <= math.MaxInt64/unit
	}
	f, err := strconv.ParseFloat(number, 64)
	f = math.Round(f * float64(unit))
	if err != nil || f >= math.MaxInt64 {
		return 0, false
	}
	return int64(f), true
}

func nextUnit(s string) (durationUnit, bool) {
	for _, u := range durationUnits {
		if strings.HasPrefix(s, u.name) {
			return u, true
		}
	}
	return durationUnit{}, false
}

// String returns the duration with days: "7d", "1h30m", "250ms".
func (d Duration) String() string {
	if d < 0 {
		return "-" + (-d).String()
	}
	days, rest := time.Duration(d)/Day, time.Duration(d)%Day
	s := ""
	if days > 0 {
		s = strconv.FormatInt(int64(days), 10) + "d"
	}
	if rest == 0 && s != "" {
		return s
	}
	t := rest.String()
	if strings.HasSuffix(t, "m0s") {
		t = strings.TrimSuffix(t, "0s")
	}
	if strings.HasSuffix(t, "h0m") {
		t = strings.TrimSuffix(t, "0m")
	}
	return s + t
}

// UnmarshalText is ParseDuration.
func (d *Duration) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDuration(string(text))
	return err
}

// MarshalText is String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (*Duration) expects() string { return `a duration like "7d" or "1h30m"` }

// ParseTime reads a point in time as --since and --until take it:
//
//	"90m", "2d"                          so long before now
//	"16:02", "16:02:11"                  the latest such moment that is not after now
//	"2026-11-22"                         the beginning of that day
//	"2026-11-22 16:02", "…T16:02:11"     in loc
//	"2026-11-22T16:02:11Z", "…+01:00"    RFC 3339
//	"now"
//
// Clock times and dates are in loc.
func ParseTime(s string, now time.Time, loc *time.Location) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return now, nil
	}
	if d, err := ParseDuration(s); err == nil {
		return now.Add(-time.Duration(d)), nil
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.Parse(layout, s); err == nil {
			return clock(t, now.In(loc)), nil
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time; write a duration back (\"2h\"), a clock time (\"16:02\"), a date (\"2026-11-22\") or RFC 3339", s)
}

func clock(t, now time.Time) time.Time {
	at := time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())
	if at.After(now) {
		return time.Date(now.Year(), now.Month(), now.Day()-1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())
	}
	return at
}
