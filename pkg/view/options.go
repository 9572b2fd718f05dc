package view

import (
	"os"
	"time"

	"golang.org/x/term"
)

// Options hold for everything the package writes. The zero value is what a
// pipe gets: no colour, nothing cut, local time.
type Options struct {
	// Color allows colours. UseColor tells whether the output wants them.
	Color bool
	// Width is the greatest number of columns of a line; 0 for no limit.
	Width int
	// Zone is the time zone to show; nil means the local one.
	Zone *time.Location
	// TimeFormat, in Go's layout, shows the time of an entry; "" means the time
	// of day to the millisecond.
	TimeFormat string
	// Now is the time that the age of running tasks is counted up to; zero
	// leaves ages out.
	Now time.Time
}

// clock is the time of day to the millisecond.
const clock = "15:04:05.000"

// UseColor reports whether text written to out should be coloured: it is a
// terminal, NO_COLOR is not set (https://no-color.org) and TERM is not "dumb".
// env looks up an environment variable, as os.Getenv does.
func UseColor(out *os.File, env func(string) string) bool {
	return env("NO_COLOR") == "" && env("TERM") != "dumb" && term.IsTerminal(int(out.Fd()))
}

// TerminalWidth returns the number of columns of the terminal that out is, 0
// if it is none or does not say.
func TerminalWidth(out *os.File) int {
	width, _, err := term.GetSize(int(out.Fd()))
	if err != nil {
		return 0
	}
	return width
}

func (o Options) pen() *pen { return &pen{color: o.Color, width: o.Width} }

// at writes a time, "" for the zero time.
func (o Options) at(t time.Time, layout string) string {
	if t.IsZero() {
		return ""
	}
	zone := o.Zone
	if zone == nil {
		zone = time.Local
	}
	return t.In(zone).Format(layout)
}

// moment writes the time of an entry.
func (o Options) moment(t time.Time) string {
	if o.TimeFormat != "" {
		return o.at(t, o.TimeFormat)
	}
	return o.at(t, clock)
}
