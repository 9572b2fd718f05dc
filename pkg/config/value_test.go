package config_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/config"
)

func TestParseSize(t *testing.T) {
	good := func(in string, want config.Size, text string) {
		t.Helper()
		got, err := config.ParseSize(in)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParseSize(%q) = %d (%s), %v; want %d (%s)", in, got, got, err, want, text)
		}
	}
	bad := func(in, want string) {
		t.Helper()
		if got, err := config.ParseSize(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSize(%q) = %d, %v; want an error with %q", in, got, err, want)
		}
	}
	good("10GiB", 10<<30, "10GiB")
	good("0", 0, "0B")
	good("512 MiB", 512<<20, "512MiB")
	good("1.5 KiB", 1536, "1536B")
	good("100kb", 100_000, "100000B")
	good("4096B", 4096, "4KiB")
	good("7PiB", 7<<50, "7PiB")
	bad("", "not a size")
	bad("ten", "not a size")
	bad("-1B", "not a size")
	bad("10", `"10MiB"`)
	bad("10G", `did you mean "GiB"`)
	bad("10 gigs", "unknown unit")
	bad("9000PiB", "too large")
	bad("1e300B", "unknown unit")
}

func TestParseDuration(t *testing.T) {
	good := func(in string, want time.Duration, text string) {
		t.Helper()
		got, err := config.ParseDuration(in)
		if err != nil || time.Duration(got) != want || got.String() != text {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v (%s)", in, got, err, want, text)
		}
	}
	bad := func(in, want string) {
		t.Helper()
		if got, err := config.ParseDuration(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDuration(%q) = %v, %v; want an error with %q", in, got, err, want)
		}
	}
	good("7d", 7*24*time.Hour, "7d")
	good("1h30m", 90*time.Minute, "1h30m")
	good("10 s", 10*time.Second, "10s")
	good("250ms", 250*time.Millisecond, "250ms")
	good("1d 12h", 36*time.Hour, "1d12h")
	good("1.5h", 90*time.Minute, "1h30m")
	good("0", 0, "0s")
	good("200d1ns", 200*24*time.Hour+1, "200d1ns")
	bad("", "not a duration")
	bad("7", "unit is missing")
	bad("7w", "units are")
	bad("-1h", "not a duration")
	bad("1h-1m", "not a duration")
	bad("9999999d", "too long")
	bad("106751d 106751d", "too long")
}

func TestParsePercent(t *testing.T) {
	good := func(in string, want config.Percent, text string) {
		t.Helper()
		got, err := config.ParsePercent(in)
		if err != nil || got != want || got.String() != text {
			t.Errorf("ParsePercent(%q) = %v, %v; want %v (%s)", in, got, err, float64(want), text)
		}
	}
	good("1%", 0.01, "1%")
	good("0.5 %", 0.005, "0.5%")
	good("100%", 1, "100%")
	good("0%", 0, "0%")
	for _, in := range []string{"", "1", "101%", "-1%", "x%", "NaN%"} {
		if got, err := config.ParsePercent(in); err == nil {
			t.Errorf("ParsePercent(%q) = %v, want an error", in, got)
		}
	}
}

func TestParseRate(t *testing.T) {
	good := func(in string, want config.Rate) {
		t.Helper()
		got, err := config.ParseRate(in)
		if err != nil || got != want || got.String() != in {
			t.Errorf("ParseRate(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	good("100/s", config.Rate{Count: 100, Per: time.Second})
	good("5/m", config.Rate{Count: 5, Per: time.Minute})
	good("1/h", config.Rate{Count: 1, Per: time.Hour})
	good("0.5/d", config.Rate{Count: 0.5, Per: config.Day})
	for _, in := range []string{"", "100", "100/", "/s", "0/s", "-1/s", "1/w", "Inf/s", "NaN/s"} {
		if got, err := config.ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", in, got)
		}
	}
}

func TestParseTime(t *testing.T) {
	zone := time.FixedZone("here", 3600)
	now := time.Date(2026, 11, 22, 16, 2, 0, 0, zone)
	f := func(in, want string) {
		t.Helper()
		got, err := config.ParseTime(in, now, zone)
		if err != nil || got.Format(time.RFC3339) != want {
			t.Errorf("ParseTime(%q) = %v, %v; want %s", in, got.Format(time.RFC3339), err, want)
		}
	}
	f("now", "2026-11-22T16:02:00+01:00")
	f("90m", "2026-11-22T14:32:00+01:00")
	f("2d", "2026-11-20T16:02:00+01:00")
	f("16:02", "2026-11-22T16:02:00+01:00")
	f("16:03", "2026-11-21T16:03:00+01:00")
	f("08:30:15", "2026-11-22T08:30:15+01:00")
	f("2026-11-01", "2026-11-01T00:00:00+01:00")
	f("2026-11-01 08:30", "2026-11-01T08:30:00+01:00")
	f("2026-11-01T08:30:01", "2026-11-01T08:30:01+01:00")
	f("2026-11-01T08:30:01Z", "2026-11-01T08:30:01Z")
	for _, in := range []string{"", "yesterday", "25:00", "2026-13-01", "-1h"} {
		if got, err := config.ParseTime(in, now, zone); err == nil {
			t.Errorf("ParseTime(%q) = %v, want an error", in, got)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"name", "match", "max_age", "max_bytes", "to", "last"}
	f := func(in, want string) {
		t.Helper()
		if got, _ := config.Nearest(in, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
	f("nmae", "name")
	f("Match", "match")
	f("maxage", "max_age")
	f("max_byte", "max_bytes")
	f("tp", "to")
	f("colour", "")
	f("", "")
	f(strings.Repeat("x", 100), "")
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{"10GiB", "7d", "1h30m", "1%", "100/s", "0", "1.5", "µs", "9223372036854775807B", "106751d23h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := config.ParseSize(s); err == nil {
			if again, err := config.ParseSize(v.String()); v < 0 || err != nil || again != v {
				t.Errorf("size %q: %d is said as %q, which reads as %d, %v", s, v, v, again, err)
			}
		}
		if v, err := config.ParseDuration(s); err == nil {
			if again, err := config.ParseDuration(v.String()); v < 0 || err != nil || again != v {
				t.Errorf("duration %q: %d is said as %q, which reads as %d, %v", s, v, v, again, err)
			}
		}
		if v, err := config.ParsePercent(s); err == nil && !(v >= 0 && v <= 1) {
			t.Errorf("percent %q reads as %v", s, float64(v))
		}
		if v, err := config.ParseRate(s); err == nil {
			if again, err := config.ParseRate(v.String()); v.Count <= 0 || math.IsInf(v.Count, 0) || err != nil || again != v {
				t.Errorf("rate %q: said as %q, which reads as %v, %v", s, v, again, err)
			}
		}
		_, _ = config.ParseTime(s, time.Unix(1e9, 0), time.UTC)
	})
}
