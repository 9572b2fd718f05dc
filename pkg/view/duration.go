package view

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Duration writes milliseconds with about three digits and the unit that fits:
// 420µs, 4.2ms, 482ms, 1.24s, 12m03s, 3h04m, 2d07h; "" where they are negative,
// which stands for unknown.
func Duration(ms float64) string {
	switch {
	case ms < 0 || math.IsNaN(ms):
		return ""
	case ms < 1:
		return strconv.FormatFloat(ms*1000, 'f', 0, 64) + "µs"
	case ms < 9.95:
		return strconv.FormatFloat(ms, 'f', 1, 64) + "ms"
	case ms < 999.5:
		return strconv.FormatFloat(ms, 'f', 0, 64) + "ms"
	case ms < 9_995:
		return strconv.FormatFloat(ms/1000, 'f', 2, 64) + "s"
	case ms < 59_950:
		return strconv.FormatFloat(ms/1000, 'f', 1, 64) + "s"
	case ms < 100*365*24*3_600_000:
		return long(int64(math.Round(ms / 1000)))
	}
	return "∞" // a century: no task ran for so long
}

func long(s int64) string {
	switch {
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 48*3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}

// between writes the time from one moment to another, "" where one is unknown.
func between(from, to time.Time) string {
	if from.IsZero() || to.IsZero() {
		return ""
	}
	return Duration(max(0, float64(to.Sub(from))/float64(time.Millisecond)))
}

// count writes a number with commas between the thousands: 49,980.
func count(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// many writes a number with its noun: "1 entry", "2 entries".
func many(n uint64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + more
}
