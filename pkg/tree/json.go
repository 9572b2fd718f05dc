package tree

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// MaxListed is how many absent numbers one call of WriteTree or WriteGaps
// writes one by one. A run that would go beyond is written as one object with
// the position of the last number and the count:
//
//	{"pos":"2.4","to":"2.9000000","count":8999997,"reason":"missing"}
//
// A position may claim any number up to 2^64-1, so that the lines would never
// end. Counts are never bounded.
const MaxListed = 100_000

// AppendSummary appends the line of the command tasks for an outermost task,
// without newline.
func AppendSummary(dst []byte, t *Task) []byte {
	dst = appendText(append(dst, `{"trace":`...), t.Trace)
	dst = appendText(append(dst, `,"path":`...), t.Path)
	dst = appendText(append(dst, `,"service":`...), t.Service)
	dst = appendTime(append(dst, `,"started":`...), t.Started)
	dst = appendTime(append(dst, `,"ended":`...), t.Ended)
	dst = appendElapsed(append(dst, `,"elapsed_ms":`...), t.Elapsed)
	dst = appendText(append(dst, `,"outcome":`...), string(t.Outcome))
	cause := ""
	if c := t.Cause(); c != nil {
		cause = c.Error
	}
	dst = appendText(append(dst, `,"cause":`...), cause)
	dst = strconv.AppendInt(append(dst, `,"entries":`...), int64(t.Entries), 10)
	dst = strconv.AppendInt(append(dst, `,"errors":`...), int64(t.Errors), 10)
	dst = strconv.AppendUint(append(dst, `,"missing":`...), t.missing, 10)
	return append(dst, '}')
}

// WriteTree writes an outermost task with all below it as one line of JSON. It
// writes as it goes and does not recurse.
func WriteTree(w io.Writer, t *Task) error {
	p := printer{w: w, room: MaxListed}
	// A task below is visited after the head of the one above was written and
	// before its tail; levels are those whose tail is still to come.
	var levels []*Task
	t.Walk(func(at *Task) bool {
		for len(levels) > 0 && levels[len(levels)-1] != at.parent {
			p.tail(levels[len(levels)-1])
			levels = levels[:len(levels)-1]
		}
		if len(levels) > 0 && at.parent.children[0] != at {
			p.buf = append(p.buf, ',')
		}
		p.head(at)
		levels = append(levels, at)
		return p.err == nil
	})
	for i := len(levels) - 1; i >= 0; i-- {
		p.tail(levels[i])
	}
	p.buf = append(p.buf, '\n')
	p.flush(0)
	return p.err
}

// WriteGaps writes a line for each absent number of t and all below.
func WriteGaps(w io.Writer, t *Task) error {
	p := printer{w: w, room: MaxListed}
	t.Walk(func(at *Task) bool {
		for _, m := range at.Missing {
			p.each(m, func(m Missing) {
				p.buf = appendText(append(p.buf, `{"trace":`...), at.Trace)
				p.buf = append(appendMissing(append(p.buf, ','), m), "}\n"...)
			})
		}
		return p.err == nil
	})
	p.flush(0)
	return p.err
}

// printer gathers output and remembers the first error of its writer.
type printer struct {
	w    io.Writer
	buf  []byte
	room uint64 // how many absent numbers may still be listed one by one
	err  error
}

// flush writes the buffer when it holds more than keep bytes.
func (p *printer) flush(keep int) {
	if len(p.buf) <= keep {
		return
	}
	if p.err == nil {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
}

// head writes a task up to the opening bracket of its children.
func (p *printer) head(t *Task) {
	dst := appendText(append(p.buf, `{"trace":`...), t.Trace)
	dst = append(dst, `,"pos":`...)
	if t.Guessed {
		dst = append(dst, "null"...)
	} else {
		dst = entry.AppendString(dst, string(t.Pos))
	}
	dst = appendText(append(dst, `,"path":`...), t.Path)
	dst = appendText(append(dst, `,"name":`...), t.Name)
	dst = appendText(append(dst, `,"service":`...), t.Service)
	dst = appendText(append(dst, `,"outcome":`...), string(t.Outcome))
	dst = appendGuess(dst, t)
	dst = appendTime(append(dst, `,"started":`...), t.Started)
	dst = appendElapsed(append(dst, `,"elapsed_ms":`...), t.Elapsed)
	p.buf = append(dst, `,"entries":[`...)
	comma := false
	for _, item := range t.Items {
		if item.Entry == nil {
			continue
		}
		if comma {
			p.buf = append(p.buf, ',')
		}
		comma = true
		p.buf = appendRaw(p.buf, item.Entry.Raw)
		p.flush(flushAt)
	}
	p.buf = append(p.buf, `],"children":[`...)
}

// appendGuess appends what only tasks that [Gather] made have.
func appendGuess(dst []byte, t *Task) []byte {
	if !t.Guessed {
		return dst
	}
	dst = append(dst, `,"guessed":true`...)
	if t.By == nil {
		return dst
	}
	dst = entry.AppendString(append(dst, `,"by":{"field":`...), t.By.Field)
	dst = entry.AppendString(append(dst, `,"value":`...), t.By.Value)
	return append(dst, '}')
}

// tail writes what follows the children.
func (p *printer) tail(t *Task) {
	p.buf = append(p.buf, `],"missing":[`...)
	comma := false
	for _, m := range t.Missing {
		p.each(m, func(m Missing) {
			if comma {
				p.buf = append(p.buf, ',')
			}
			comma = true
			p.buf = append(appendMissing(append(p.buf, '{'), m), '}')
		})
	}
	p.buf = append(p.buf, "]}"...)
	p.flush(flushAt)
}

const flushAt = 64 << 10

// each calls write for every number of the run, or once for all where there
// are too many.
func (p *printer) each(m Missing, write func(Missing)) {
	if m.Count()-1 >= p.room { // minus one: a run may hold all 2^64-1 numbers
		write(m)
		p.flush(flushAt)
		return
	}
	p.room -= m.Count()
	for n := m.First; p.err == nil; n++ {
		one := m
		one.Pos, one.First, one.Last = m.at(n), n, n
		write(one)
		p.flush(flushAt)
		if n == m.Last {
			return
		}
	}
}

// appendMissing appends the keys of a run, without braces.
func appendMissing(dst []byte, m Missing) []byte {
	dst = entry.AppendString(append(dst, `"pos":`...), string(m.Pos))
	if m.First != m.Last {
		dst = entry.AppendString(append(dst, `,"to":`...), string(m.To()))
		dst = strconv.AppendUint(append(dst, `,"count":`...), m.Count(), 10)
	}
	dst = entry.AppendString(append(dst, `,"reason":`...), string(m.Reason))
	if m.Rule != "" {
		dst = entry.AppendString(append(dst, `,"rule":`...), m.Rule)
	}
	return dst
}

// appendRaw appends a line as it stands, unless that would break the output:
// what is not UTF-8 becomes U+FFFD, line ends between values go.
func appendRaw(dst, raw []byte) []byte {
	if !utf8.Valid(raw) {
		raw = bytes.ToValidUTF8(raw, []byte("\uFFFD"))
	}
	if bytes.IndexByte(raw, '\n') < 0 {
		return append(dst, raw...)
	}
	var one bytes.Buffer
	if json.Compact(&one, raw) != nil {
		return append(dst, "null"...)
	}
	return append(dst, one.Bytes()...)
}

// appendText appends a string, null for the empty one.
func appendText(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return entry.AppendString(dst, s)
}

// appendTime appends a time in UTC, null for the zero time and for years that
// RFC 3339 cannot say.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	if t.IsZero() || t.Year() < 0 || t.Year() > 9999 {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = t.AppendFormat(dst, time.RFC3339Nano)
	return append(dst, '"')
}

// appendElapsed appends milliseconds, null where they are unknown.
func appendElapsed(dst []byte, ms float64) []byte {
	if ms < 0 || math.IsNaN(ms) || math.IsInf(ms, 0) {
		return append(dst, "null"...)
	}
	return strconv.AppendFloat(dst, ms, 'f', -1, 64)
}
