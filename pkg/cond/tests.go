package cond

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// test is one condition on the value of a field, without the field's name.
type test interface {
	holds(v *entry.Value, r *Record) bool
	String() string // canonical, after the field's name: `= "x"`
}

// isAbsent is "".
type isAbsent struct{}

func (isAbsent) holds(v *entry.Value, _ *Record) bool { return absent(v) }
func (isAbsent) String() string                       { return "absent" }

// isPresent is "*".
type isPresent struct{}

func (isPresent) holds(v *entry.Value, _ *Record) bool { return !absent(v) }
func (isPresent) String() string                       { return "present" }

// isText is equality with a text: a string that says it, or a number or boolean
// that is written so, because a command line has no types.
type isText struct {
	want   string
	number *number // what the text means as a number, if it does
}

func newText(s string) isText {
	t := isText{want: s}
	if n, ok := parseNumber(s); ok {
		t.number = &n
	}
	return t
}

func (t isText) holds(v *entry.Value, r *Record) bool {
	switch v.Kind {
	case entry.String:
		return string(r.Text(v)) == t.want
	case entry.Bool:
		return string(v.Raw) == t.want
	case entry.Number:
		return t.number != nil && t.number.equals(v)
	}
	return false
}

func (t isText) String() string { return "= " + strconv.Quote(t.want) }

// isNumber is equality with a number, by value.
type isNumber struct{ number }

func (n isNumber) holds(v *entry.Value, _ *Record) bool { return v.Kind == entry.Number && n.equals(v) }
func (n isNumber) String() string                       { return "= " + n.text() }

// isBool is equality with true or false.
type isBool bool

func (b isBool) holds(v *entry.Value, _ *Record) bool {
	got, ok := v.Bool()
	return ok && got == bool(b)
}
func (b isBool) String() string { return "= " + strconv.FormatBool(bool(b)) }

// number is a float, and an integer too where it is one, so that ids beyond
// 2^53 are told apart.
type number struct {
	f       float64
	i       int64
	integer bool
}

func integer(i int64) number { return number{float64(i), i, true} }

// float takes whole numbers as integers: 500.0 and 500 are one value.
func float(f float64) number {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return integer(int64(f))
	}
	return number{f: f}
}

// parseNumber reads what JSON would take for a number.
func parseNumber(s string) (number, bool) {
	if !isJSONNumber(s) {
		return number{}, false
	}
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return integer(i), true
	}
	f, err := strconv.ParseFloat(s, 64)
	return float(f), err == nil
}

// isJSONNumber keeps out what strconv takes beyond JSON: Inf, NaN, hexadecimal.
func isJSONNumber(s string) bool {
	return entry.Valid([]byte(`{"n":`+s+`}`)) == nil && s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9')
}

func (n number) equals(v *entry.Value) bool {
	if n.integer && isInteger(v.Raw) {
		if i, err := strconv.ParseInt(string(v.Raw), 10, 64); err == nil {
			return i == n.i
		}
	}
	f, ok := v.Number()
	return ok && f == n.f
}

func (n number) text() string {
	if n.integer {
		return strconv.FormatInt(n.i, 10)
	}
	return strconv.FormatFloat(n.f, 'g', -1, 64)
}

func isInteger(raw []byte) bool { return !bytes.ContainsAny(raw, ".eE") }

// order is one of < <= > >=.
type order string

func (o order) holds(cmp int) bool {
	switch o {
	case "<":
		return cmp < 0
	case "<=":
		return cmp <= 0
	case ">":
		return cmp > 0
	}
	return cmp >= 0
}

// thanNumber compares numbers; a duration is one, in milliseconds.
type thanNumber struct {
	op   order
	with float64
	said string
}

func (t thanNumber) holds(v *entry.Value, _ *Record) bool {
	f, ok := v.Number()
	if !ok {
		return false
	}
	switch t.op {
	case "<":
		return f < t.with
	case "<=":
		return f <= t.with
	case ">":
		return f > t.with
	}
	return f >= t.with
}

func (t thanNumber) String() string { return string(t.op) + " " + t.said }

// thanTime compares points in time: text in RFC 3339, or a number since 1970 as
// the entry package reads it.
type thanTime struct {
	op   order
	with time.Time
}

func (t thanTime) holds(v *entry.Value, r *Record) bool {
	var got time.Time
	var ok bool
	switch v.Kind {
	case entry.String:
		got, ok = parseTime(r.Text(v))
	case entry.Number:
		got, ok = v.Time()
	}
	return ok && t.op.holds(got.Compare(t.with))
}

func (t thanTime) String() string {
	return string(t.op) + " " + t.with.UTC().Format(time.RFC3339Nano)
}

// thanLevel compares a field that holds the word of a level, other than the
// entry's own level.
type thanLevel struct {
	op   order
	with entry.Level
}

func (t thanLevel) holds(v *entry.Value, r *Record) bool {
	if v.Kind != entry.String {
		return false
	}
	l, _ := entry.ParseLevel(r.text(v))
	cmp, ok := l.Compare(t.with)
	return ok && t.op.holds(cmp)
}

func (t thanLevel) String() string { return string(t.op) + " " + t.with.String() }

// parseTime is RFC 3339 in UTC, without the allocations of the time package's
// zones: it is asked for each line.
func parseTime(b []byte) (time.Time, bool) {
	const fixed = len("2006-01-02T15:04:05")
	if len(b) < fixed+1 || b[4] != '-' || b[7] != '-' || b[10]|' ' != 't' && b[10] != ' ' || b[13] != ':' || b[16] != ':' {
		return time.Time{}, false
	}
	d := digits{b: b, ok: true}
	year, month, day := d.at(0, 4, 9999), d.at(5, 7, 12), d.at(8, 10, 31)
	hour, minute, second := d.at(11, 13, 23), d.at(14, 16, 59), d.at(17, 19, 59)
	rest, nanos := fraction(b[fixed:])
	offset, ok := zone(rest)
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC)
	if !d.ok || !ok || month == 0 || t.Day() != day {
		return time.Time{}, false
	}
	return t.Add(-offset), true
}

// digits reads numbers at fixed places.
type digits struct {
	b  []byte
	ok bool
}

func (d *digits) at(from, to, most int) int {
	n := 0
	for _, c := range d.b[from:to] {
		if c < '0' || c > '9' {
			d.ok = false
			return 0
		}
		n = n*10 + int(c-'0')
	}
	d.ok = d.ok && n <= most
	return n
}

// fraction reads ".482193" as nanoseconds and returns what follows.
func fraction(b []byte) (rest []byte, nanos int) {
	if b[0] != '.' && b[0] != ',' {
		return b, 0
	}
	unit := 100_000_000
	i := 1
	for ; i < len(b) && b[i] >= '0' && b[i] <= '9'; i++ {
		nanos += int(b[i]-'0') * unit
		unit /= 10
	}
	if i == 1 {
		return nil, 0
	}
	return b[i:], nanos
}

func zone(b []byte) (time.Duration, bool) {
	if len(b) == 1 {
		return 0, b[0]|' ' == 'z'
	}
	if len(b) != len("+01:00") || b[0] != '+' && b[0] != '-' || b[3] != ':' {
		return 0, false
	}
	d := digits{b: b, ok: true}
	offset := time.Duration(d.at(1, 3, 23))*time.Hour + time.Duration(d.at(4, 6, 59))*time.Minute
	if b[0] == '-' {
		offset = -offset
	}
	return offset, d.ok
}
