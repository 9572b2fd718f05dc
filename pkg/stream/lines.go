package stream

import (
	"bytes"
	"iter"
)

// Lines yields the lines of a pack's data without their "\n" or "\r\n". Lines that
// hold nothing but blanks are skipped, and the last line needs no line end, so what
// a person typed into `nats pub` reads like what dlog wrote. The lines are parts of
// data, valid as long as it is.
func Lines(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			line := data
			if i := bytes.IndexByte(data, '\n'); i >= 0 {
				line, data = data[:i], data[i+1:]
			} else {
				data = nil
			}
			if n := len(line); n > 0 && line[n-1] == '\r' {
				line = line[:n-1]
			}
			if !blank(line) && !yield(line) {
				return
			}
		}
	}
}

// CountLines is the number of lines that Lines yields.
func CountLines(data []byte) int {
	n := 0
	for range Lines(data) {
		n++
	}
	return n
}

// blank reports whether a line holds nothing but JSON's white space. It looks at the
// first byte only, in practice: an entry begins with "{".
func blank(line []byte) bool {
	for _, c := range line {
		if c != ' ' && c != '\t' && c != '\r' {
			return false
		}
	}
	return true
}
