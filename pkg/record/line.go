package record

import (
	"bytes"
	"io"
	"strconv"
	"sync"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
)

const (
	timeFormat = "2006-01-02T15:04:05.000000Z"
	keptBytes  = 64 << 10 // greatest buffer kept for reuse
)

// lockedWriter is the recorder's output.
type lockedWriter struct {
	mu  sync.Mutex // guards w and buf
	w   io.Writer
	buf []byte
}

// appendObject appends the line without its closing brace, as one line. What is no JSON object becomes the message of one.
func appendObject(dst, line []byte) []byte {
	trimmed := bytes.TrimSpace(line)
	if n := len(trimmed); n >= 2 && trimmed[0] == '{' && trimmed[n-1] == '}' {
		start := len(dst)
		dst = append(dst, bytes.TrimRight(trimmed[:n-1], " \t\r\n")...)
		for i, c := range dst[start:] {
			if c == '\n' { // only raw JSON can hold one: strings escape it
				dst[start+i] = ' '
			}
		}
		return dst
	}
	dst = entry.AppendString(append(dst, '{'), zerolog.MessageFieldName)
	return entry.AppendString(append(dst, ':'), string(trimmed))
}

func appendUint(b []byte, n uint64) []byte { return strconv.AppendUint(b, n, 10) }

// timeSlots is how many lengths of lines are told apart by where their time was found last.
const timeSlots = 64

// hasTime reports whether the line has zerolog's time key at its top level. Lines of one log call are alike: their time stands as far from the end as
// that of the last line of that length, so it is looked for there before it is searched.
func (r *Recorder) hasTime(line []byte) bool {
	slot := &r.timeAt[len(line)%timeSlots]
	if at := len(line) - int(slot.Load()); at > 0 && at+len(r.timeKey) <= len(line) && string(line[at:at+len(r.timeKey)]) == string(r.timeKey) && isTop(line, at) {
		return true
	}
	for from := 0; ; {
		i := bytes.Index(line[from:], r.timeKey)
		if i < 0 {
			return false
		}
		at := from + i
		if isTop(line, at) {
			slot.Store(uint32(len(line) - at))
			return true
		}
		from = at + 1
	}
}

// isTop reports whether a key at a place stands in the outermost object. Most lines have no other.
func isTop(line []byte, at int) bool {
	if at > 0 && line[at-1] == '\\' {
		return false // the end of a longer key
	}
	return bytes.IndexByte(line[1:max(at, 1)], '{') < 0 || topLevel(line, at)
}

// topLevel reports whether a place in the line stands in its outermost object.
func topLevel(line []byte, at int) bool {
	depth := 0
	for i := 0; i < at; i++ {
		switch line[i] {
		case '"':
			i = endOfString(line, i)
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return depth == 1
}

// endOfString returns where the string that begins at i ends.
func endOfString(line []byte, i int) int {
	for i++; i < len(line) && line[i] != '"'; i++ {
		if line[i] == '\\' {
			i++
		}
	}
	return i
}
