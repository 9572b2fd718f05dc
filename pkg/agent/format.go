package agent

import (
	"fmt"
	"strings"
)

// Format says which lines are looked for in a stream. Whatever does not match is kept as text.
type Format uint8

// The formats. Auto tells each line by itself.
const (
	Auto   Format = iota
	JSON          // JSON objects, those of Eliot and dlog included
	Logfmt        // key=value pairs, bare words being true
	Text          // klog, and text with leading time and level
	Eliot         // the same as JSON, for streams that are known to be Eliot's
)

var formatNames = [...]string{"auto", "json", "logfmt", "text", "eliot"}

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	for i, name := range formatNames {
		if s == name {
			return Format(i), nil
		}
	}
	return Auto, fmt.Errorf("format must be %s or %s, not %q", strings.Join(formatNames[:len(formatNames)-1], ", "), formatNames[len(formatNames)-1], s)
}

// String returns the name of the format.
func (f Format) String() string {
	if int(f) >= len(formatNames) {
		return "unknown"
	}
	return formatNames[f]
}

func (f Format) json() bool   { return f == Auto || f == JSON || f == Eliot }
func (f Format) logfmt() bool { return f == Auto || f == Logfmt }
func (f Format) text() bool   { return f == Auto || f == Text }
