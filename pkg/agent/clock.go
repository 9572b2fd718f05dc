package agent

import (
	"bytes"
	"time"
)

// A calendar reads times as people's programs write them. What they leave out, it takes from the moment and the zone of the machine.
type calendar struct {
	now  func() time.Time
	zone *time.Location
}

// leading reads the time at the beginning of text and returns how many bytes it takes. It knows
//
//	2026-11-22T16:02:11.482Z   2026-11-22 16:02:11,482   2026/11/22 16:02:11   with Z, +0100, +01:00, UTC or nothing behind
//	Nov 22 16:02:11            of syslog; the year is the one that makes it recent
//	16:02:11.482               and 4:02PM: of today
func (c *calendar) leading(text []byte) (time.Time, int, bool) {
	if len(text) < len("4:02PM") {
		return time.Time{}, 0, false
	}
	if t, n, ok := c.dated(text); ok {
		return t, n, true
	}
	if t, n, ok := c.syslog(text); ok {
		return t, n, true
	}
	return c.today(text)
}

// whole reads a text that is a date and a time and nothing else.
func (c *calendar) whole(text []byte) (time.Time, bool) {
	t, n, ok := c.dated(text)
	return t, ok && n == len(text)
}

func (c *calendar) dated(text []byte) (time.Time, int, bool) {
	var d moment
	n := d.date(text)
	if n == 0 || n >= len(text) || text[n] != 'T' && text[n] != ' ' && text[n] != 't' {
		return time.Time{}, 0, false
	}
	m := d.clock(text[n+1:])
	if m == 0 {
		return time.Time{}, 0, false
	}
	n += 1 + m
	zone, m := c.zoneAt(text[n:])
	n += m
	if !ends(text[n:]) {
		return time.Time{}, 0, false
	}
	t, ok := d.in(zone)
	return t, n, ok
}

// syslog reads RFC 3164's form.
func (c *calendar) syslog(text []byte) (time.Time, int, bool) {
	if len(text) < len("Nov 22 16:02:11") || text[3] != ' ' || text[6] != ' ' {
		return time.Time{}, 0, false
	}
	var d moment
	if d.month = monthOf(text[:3]); d.month == 0 {
		return time.Time{}, 0, false
	}
	day := text[4:6]
	if day[0] == ' ' {
		day = day[1:]
	}
	var ok bool
	if d.day, ok = integer(day); !ok {
		return time.Time{}, 0, false
	}
	n := d.clock(text[7:])
	if n == 0 || !ends(text[7+n:]) {
		return time.Time{}, 0, false
	}
	t, ok := c.recent(d)
	return t, 7 + n, ok
}

// recent finds the year of a date without one: the last in which it is not in the future, by more than two days.
func (c *calendar) recent(d moment) (time.Time, bool) {
	now := c.now()
	for _, back := range [...]int{-1, 0, 1, 2, 3, 4} {
		d.year = now.In(c.zone).Year() - back
		if t, ok := d.in(c.zone); ok && t.Before(now.Add(48*time.Hour)) {
			return t, true
		}
	}
	return time.Time{}, false
}

// today reads a time of day: of today, or of yesterday where today's is still to come.
func (c *calendar) today(text []byte) (time.Time, int, bool) {
	var d moment
	n := d.clock(text)
	if n == 0 {
		n = d.kitchen(text)
	}
	if n == 0 || !ends(text[n:]) || len(text) > n && text[n] == ':' {
		return time.Time{}, 0, false
	}
	now := c.now().In(c.zone)
	d.year, d.month, d.day = now.Year(), int(now.Month()), now.Day()
	t, ok := d.in(c.zone)
	if ok && t.Sub(now) > time.Hour {
		t = t.AddDate(0, 0, -1)
	}
	return t, n, ok
}

// zoneAt reads what may stand behind a time, and what there is no sign of is the machine's zone.
func (c *calendar) zoneAt(text []byte) (*time.Location, int) {
	at := 0
	if len(text) > 1 && text[0] == ' ' {
		at = 1
	}
	rest := text[at:]
	switch {
	case len(rest) == 0:
		return c.zone, 0
	case (rest[0] == 'Z' || rest[0] == 'z') && ends(rest[1:]):
		return time.UTC, at + 1
	case bytes.HasPrefix(rest, []byte("UTC")) && ends(rest[3:]), bytes.HasPrefix(rest, []byte("GMT")) && ends(rest[3:]):
		return time.UTC, at + 3
	case rest[0] == '+' || rest[0] == '-':
		if off, n := offset(rest); n > 0 && (at == 0 || n > 3) {
			return time.FixedZone("", off), at + n
		}
	}
	return c.zone, 0
}

// offset reads +01:00, +0100 and +01 as seconds.
func offset(text []byte) (seconds, n int) {
	h, ok := digits(text, 1, 2)
	if !ok {
		return 0, 0
	}
	n = 3
	m := 0
	switch {
	case len(text) >= 6 && text[3] == ':':
		m, ok = digits(text, 4, 2)
		n = 6
	case len(text) >= 5 && isDigit(text[3]):
		m, ok = digits(text, 3, 2)
		n = 5
	}
	if !ok || h > 23 || m > 59 || !ends(text[n:]) {
		return 0, 0
	}
	seconds = h*3600 + m*60
	if text[0] == '-' {
		seconds = -seconds
	}
	return seconds, n
}

// moment is a time in pieces.
type moment struct{ year, month, day, hour, minute, second, nanos int }

// date reads 2026-11-22 or 2026/11/22.
func (d *moment) date(text []byte) int {
	if len(text) < 10 || text[4] != text[7] || text[4] != '-' && text[4] != '/' {
		return 0
	}
	var a, b, c bool
	d.year, a = digits(text, 0, 4)
	d.month, b = digits(text, 5, 2)
	d.day, c = digits(text, 8, 2)
	if !a || !b || !c {
		return 0
	}
	return 10
}

// clock reads 16:02:11, with a fraction behind "." or ",".
func (d *moment) clock(text []byte) int {
	if len(text) < 8 || text[2] != ':' || text[5] != ':' {
		return 0
	}
	var a, b, c bool
	d.hour, a = digits(text, 0, 2)
	d.minute, b = digits(text, 3, 2)
	d.second, c = digits(text, 6, 2)
	if !a || !b || !c || d.hour > 23 || d.minute > 59 || d.second > 60 {
		return 0
	}
	n := 8
	if len(text) > 9 && (text[8] == '.' || text[8] == ',') && isDigit(text[9]) {
		n = 9
		for unit := 100_000_000; n < len(text) && isDigit(text[n]); n++ {
			d.nanos += int(text[n]-'0') * unit
			unit /= 10
		}
	}
	return n
}

// kitchen reads 4:02PM, which zerolog's console has.
func (d *moment) kitchen(text []byte) int {
	colon := bytes.IndexByte(text[:min(3, len(text))], ':')
	if colon < 1 || len(text) < colon+5 {
		return 0
	}
	h, a := digits(text, 0, colon)
	m, b := digits(text, colon+1, 2)
	if !a || !b || h < 1 || h > 12 || m > 59 || text[colon+4] != 'M' {
		return 0
	}
	switch text[colon+3] {
	case 'A':
		d.hour = h % 12
	case 'P':
		d.hour = h%12 + 12
	default:
		return 0
	}
	d.minute = m
	return colon + 5
}

// in puts the pieces together and refuses a 31st of November, and years before there were such logs.
func (d *moment) in(zone *time.Location) (time.Time, bool) {
	if d.year < 1970 || d.month < 1 || d.month > 12 || d.day < 1 || d.day > 31 {
		return time.Time{}, false
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.minute, d.second, d.nanos, zone)
	if _, m, day := time.Date(d.year, time.Month(d.month), d.day, 0, 0, 0, 0, time.UTC).Date(); int(m) != d.month || day != d.day {
		return time.Time{}, false
	}
	return t, true
}

func monthOf(name []byte) int {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for m := 0; m < 12; m++ {
		if string(name) == names[3*m:3*m+3] {
			return m + 1
		}
	}
	return 0
}

// digits reads n digits at i.
func digits(b []byte, i, n int) (int, bool) {
	if i+n > len(b) {
		return 0, false
	}
	v := 0
	for _, c := range b[i : i+n] {
		if !isDigit(c) {
			return 0, false
		}
		v = v*10 + int(c-'0')
	}
	return v, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// ends reports whether a time may end before this text.
func ends(rest []byte) bool {
	if len(rest) == 0 {
		return true
	}
	switch rest[0] {
	case ' ', '\t', ']', ')', '|', ':', ',', ';', '"':
		return true
	}
	return false
}

// plausible bounds the numbers that are taken for times: a time of 1970 is a counter or a mistake.
func plausible(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 2200 }
