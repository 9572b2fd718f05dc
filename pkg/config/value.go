package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written "10GiB", "512 MiB", "100kB" or "4096B".
type Size int64

// sizeUnits from the largest down, for String; the decimal ones are only read.
var sizeUnits = []struct {
	name string
	size int64
}{
	{"PiB", 1 << 50},
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"B", 1},
	{"PB", 1e15},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"kB", 1e3},
}

// ParseSize reads a size: a number, which may have a fraction, and a unit of B,
// KiB, MiB, GiB, TiB, PiB (powers of 1024) or kB, MB, GB, TB, PB (of 1000).
// Only 0 needs no unit. Letter case counts only where it must not be guessed.
func ParseSize(s string) (Size, error) {
	number, unit := splitUnit(s)
	f, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size; write one like \"10GiB\" or \"512MiB\"", s)
	}
	if unit == "" && f == 0 {
		return 0, nil
	}
	for _, u := range sizeUnits {
		if strings.EqualFold(u.name, unit) {
			n, ok := times(number, u.size)
			if !ok {
				return 0, fmt.Errorf("%q is too large for a size", s)
			}
			return Size(n), nil
		}
	}
	if unit == "" {
		return 0, fmt.Errorf("%q is not a size: the unit is missing; write %q or %q", s, number+"MiB", number+"B")
	}
	if strings.ContainsAny(unit[:1], "kKmMgGtTpP") && len(unit) <= 2 {
		return 0, fmt.Errorf("%q is not a size: unknown unit %q; did you mean %q?", s, unit, strings.ToUpper(unit[:1])+"iB")
	}
	return 0, fmt.Errorf("%q is not a size: unknown unit %q; write one like \"10GiB\" or \"512MiB\"", s, unit)
}

// String returns the size in the largest unit that divides it.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.size == 0 {
			return strconv.FormatInt(int64(s)/u.size, 10) + u.name
		}
	}
	return "0B"
}

// UnmarshalText is ParseSize.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

func (*Size) expects() string { return `a size like "10GiB"` }

// splitUnit cuts "10 GiB" into number and unit.
func splitUnit(s string) (number, unit string) {
	s = strings.TrimSpace(s)
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
		n++
	}
	return s[:n], strings.TrimSpace(s[n:])
}

// Percent is a share from 0 to 1, written "1%" or "0.5%".
type Percent float64

// ParsePercent reads "0%" … "100%", with a fraction if need be.
func ParsePercent(s string) (Percent, error) {
	number, unit := splitUnit(s)
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || unit != "%" || f > 100 {
		return 0, fmt.Errorf("%q is not a percentage from 0%% to 100%%; write one like \"1%%\"", s)
	}
	return Percent(f / 100), nil
}

// String returns the percentage with its sign.
func (p Percent) String() string {
	return strconv.FormatFloat(math.Round(float64(p)*1e12)/1e10, 'f', -1, 64) + "%"
}

// UnmarshalText is ParsePercent.
func (p *Percent) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePercent(string(text))
	return err
}

// MarshalText is String.
func (p Percent) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

func (*Percent) expects() string { return `a percentage like "1%"` }

// Rate is so many of something in a time, written "100/s", "5/m", "1/h", "10/d".
type Rate struct {
	Count float64       // greater than 0
	Per   time.Duration // a second, minute, hour or day
}

var rateUnits = []durationUnit{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", Day}}

// ParseRate reads a rate.
func ParseRate(s string) (Rate, error) {
	count, per, ok := strings.Cut(s, "/")
	f, err := strconv.ParseFloat(strings.TrimSpace(count), 64)
	if ok && err == nil && f > 0 && !math.IsInf(f, 0) {
		for _, u := range rateUnits {
			if strings.TrimSpace(per) == u.name {
				return Rate{f, u.d}, nil
			}
		}
	}
	return Rate{}, fmt.Errorf("%q is not a rate; write a number above 0 per s, m, h or d, like \"100/s\"", s)
}

// String returns the rate as it is written.
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r.Per == u.d {
			return strconv.FormatFloat(r.Count, 'f', -1, 64) + "/" + u.name
		}
	}
	return strconv.FormatFloat(r.Count, 'f', -1, 64) + "/" + r.Per.String()
}

// UnmarshalText is ParseRate.
func (r *Rate) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRate(string(text))
	return err
}

// MarshalText is String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

func (*Rate) expects() string { return `a rate like "100/s"` }
