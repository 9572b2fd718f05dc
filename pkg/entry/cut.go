package entry

import (
	"bytes"
	"slices"
	"strconv"
	"unicode/utf8"
)

// MaxLine is the greatest length of a line in bytes. Longer ones are cut: see CutLine.
const MaxLine = 240 << 10

// MinCut is the least length that CutLine can be asked for: an entry's place in its tree has
// room in half of it.
const MinCut = 16 << 10

const (
	cutMark  = "…" // ends what was shortened
	cutRoom  = 512 // kept free for what dlog.cut says
	cutNames = 6   // how many members dlog.cut names
	cutName  = 48  // bytes of each such name
	cutShort = 32  // strings up to here are not worth it
)

// CutLine appends the line without white space around it, shortened to at most max bytes where
// it is longer. The longest strings lose their ends, as many as it takes, all down to one
// length; "dlog.cut" says how long the line was and which members lost something. In "dlog"
// nothing but "stack" and "errors" is cut, so an entry keeps its place. Where cutting strings is
// not enough (an object of very many members) only level, time, message, error and the
// identity in "dlog" remain. What was valid stays valid.
//
// A line that is no JSON object is cut off at max bytes and stays no entry. A max below MinCut
// counts as MinCut.
func CutLine(dst, line []byte, max int) []byte {
	end := trimEnd(line, len(line))
	line = line[:end]
	if end <= max || end <= MinCut {
		return append(dst, line...)
	}
	if max < MinCut {
		max = MinCut
	}
	c := cutter{scan: scan{b: line}, metaEnd: -1}
	if !c.line() {
		return append(dst, line[:max]...)
	}
	if keep, ok := c.keep(len(line) + cutRoom - max); ok {
		return c.append(dst, keep)
	}
	return keepEssence(dst, line, max)
}

// cutter finds the strings that may be cut.
type cutter struct {
	scan
	spans   []span
	metaEnd int // offset of the brace that ends the last "dlog" object, -1 without one
}

// span is the inside of a string, somewhere in the member of that name.
type span struct {
	from, to int
	name     []byte
}

// line collects the spans of the line and reports whether it is one JSON object.
func (c *cutter) line() bool {
	if c.space(); c.peek() != '{' {
		return false
	}
	for more := c.enter('}', 1); more; more = c.next('}') {
		key, _ := c.key()
		name := textOfKey(key)
		if name == Key {
			c.meta()
		} else {
			c.collect(key, 1)
		}
	}
	return c.cause == nil && c.at == len(c.b)
}

func textOfKey(key []byte) string { return string(appendUnquoted(nil, key)) }

// meta reads the value of "dlog", of which it collects the long texts only.
func (c *cutter) meta() {
	c.metaEnd = -1
	if c.peek() != '{' {
		c.value(1)
		return
	}
	for more := c.enter('}', 2); more; more = c.next('}') {
		key, _ := c.key()
		switch textOfKey(key) {
		case "stack", "errors":
			c.collect(key, 2)
		default:
			c.value(2)
		}
	}
	c.metaEnd = c.at - 1
}

// collect reads a value and notes the strings in it, but not the names of members.
func (c *cutter) collect(name []byte, depth int) {
	switch c.peek() {
	case '"':
		from := c.at + 1
		if c.string(); c.at-1-from > cutShort {
			c.spans = append(c.spans, span{from, c.at - 1, name})
		}
	case '{':
		for more := c.enter('}', depth+1); more; more = c.next('}') {
			c.key()
			c.collect(name, depth+1)
		}
	case '[':
		for more := c.enter(']', depth+1); more; more = c.next(']') {
			c.collect(name, depth+1)
		}
	default:
		c.value(depth)
	}
}

// keep returns the greatest length for all strings that saves as many bytes as needed; false
// where none does.
func (c *cutter) keep(need int) (int, bool) {
	saved := func(keep int) (n int) {
		for _, s := range c.spans {
			n += max(s.to-s.from-keep-len(cutMark), 0)
		}
		return n
	}
	if saved(cutShort) < need {
		return 0, false
	}
	low, high := cutShort, len(c.b) // low saves enough, high does not
	for high-low > 1 {
		if mid := (low + high) / 2; saved(mid) >= need {
			low = mid
		} else {
			high = mid
		}
	}
	return low, true
}

// edit puts text in the place of the bytes from..to.
type edit struct {
	from, to int
	text     string
}

// append appends the line with all strings cut to keep bytes, and the note of it.
func (c *cutter) append(dst []byte, keep int) []byte {
	var edits []edit
	var names [][]byte
	for _, s := range c.spans {
		if s.to-s.from <= keep+len(cutMark) {
			continue
		}
		edits = append(edits, edit{s.from + cutPoint(c.b[s.from:s.to], keep), s.to, cutMark})
		if len(names) == 0 || !bytes.Equal(names[len(names)-1], s.name) {
			names = append(names, s.name)
		}
	}
	edits = append(edits, c.note(names))
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	at := 0
	for _, e := range edits {
		dst = append(append(dst, c.b[at:e.from]...), e.text...)
		at = e.to
	}
	return append(dst, c.b[at:]...)
}

// note adds dlog.cut to the last "dlog" object, or makes one at the end of the line.
func (c *cutter) note(names [][]byte) edit {
	at, open, closing := c.metaEnd, `"cut":"`, `"`
	if at < 0 {
		at, open, closing = len(c.b)-1, `"dlog":{"cut":"`, `"}`
	}
	if c.b[trimEnd(c.b, at)-1] != '{' {
		open = "," + open
	}
	return edit{at, at, open + cutNote(len(c.b), names) + closing}
}

// cutNote says what was cut: the inside of a JSON string. The names are insides of JSON strings.
func cutNote(size int, names [][]byte) string {
	note := append([]byte("from "), strconv.Itoa(size)+" bytes"...)
	separator := ": "
	for i, name := range names {
		if i == cutNames {
			note = append(note, ", …"...)
			break
		}
		note = append(note, separator...)
		separator = ", "
		if n := cutPoint(name, cutName); n < len(name) {
			note = append(append(note, name[:n]...), cutMark...)
		} else {
			note = append(note, name...)
		}
	}
	return string(note)
}

// cutPoint returns how many bytes of the inside of a JSON string, at most keep, end with a whole
// character.
func cutPoint(s []byte, keep int) int {
	at := 0
	for at < len(s) {
		n := 1
		switch c := s[at]; {
		case c == '\\':
			_, end := unescape(s, at)
			n = end - at
		case c >= utf8.RuneSelf:
			_, n = utf8.DecodeRune(s[at:])
		}
		if at+n > keep {
			break
		}
		at += n
	}
	return at
}
