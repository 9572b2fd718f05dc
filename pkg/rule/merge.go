package rule

import (
	"errors"
	"fmt"
	"strconv"
	"unsafe"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// maxPieces bounds the fields that one text can become: each is compared with each
// of the line's, and a text comes from outside.
const maxPieces = 256

const whyMany = "holds more than 256 fields"

var errNoGroups = errors.New(`a regexp to parse by needs named groups, like "~^(?P<method>\\S+) (?P<url>\\S+)"`)

func badRegexp(err error) error { return fmt.Errorf("bad regexp: %w", err) }

// piece is a field in the making; its offsets are in edit.json.
type piece struct {
	from, value, to int
	gone            bool
}

// piece begins a field: its value is appended to d.json next. It reports false
// where there are too many.
func (d *Decision) piece(name []byte) bool {
	from := len(d.json)
	d.json = append(entry.AppendString(d.json, view(name)), ':')
	d.pieces = append(d.pieces, piece{from: from, value: len(d.json)})
	for i := range d.pieces[:len(d.pieces)-1] {
		p := &d.pieces[i]
		if !p.gone && string(d.nameOf(p)) == string(d.json[from:len(d.json)]) {
			p.gone = true // of two the last one counts
		}
	}
	return len(d.pieces) <= maxPieces
}

func (d *Decision) endPiece() { d.pieces[len(d.pieces)-1].to = len(d.json) }

// nameOf is the name as it stands, with quotes and colon.
func (d *Decision) nameOf(p *piece) []byte { return d.json[p.from:p.value] }

// view is a text that shares the memory of b, for who reads it at once.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// merge puts the pieces into the line, in the places of fields of the same names.
func (d *Decision) merge() {
	var buf [128]byte
	var quoted []byte
	var c commas
	d.spots = d.spots[:0]
	for name, v := range entry.Members(d.Line) {
		c.next(d.spots, name.At())
		end := v.At() + len(v.Raw)
		quoted = append(entry.AppendString(buf[:0], view(name.Text(d.room(len(name.Raw))))), ':')
		if !d.hasPiece(quoted) {
			c.keep(end)
			continue
		}
		s := spot{key: name.At(), val: v.At(), end: end}
		c.cut(&s, len(d.spots))
		d.spots = append(d.spots, s)
	}
	if len(d.spots) > 0 {
		d.cutSpots(d.spots)
	}
	d.addPieces()
}

// hasPiece reports whether a piece has this name and may take the field's place.
func (d *Decision) hasPiece(quoted []byte) bool {
	if string(quoted) == ownKey {
		return false
	}
	for i := range d.pieces {
		if p := &d.pieces[i]; !p.gone && string(d.nameOf(p)) == string(quoted) {
			return true
		}
	}
	return false
}

const (
	ownKey      = `"` + entry.Key + `":`
	quotedLevel = `"` + levelKey + `":`
)

// addPieces adds the pieces to the end of the line, before dlog's own key.
func (d *Decision) addPieces() {
	o := look(d.Line, "", true)
	out := append(append(d.arena, d.Line[:o.at]...), o.lead...)
	n := len(out)
	if out = d.appendPieces(out, true); len(out) == n {
		return
	}
	d.commit(append(append(out, o.trail...), d.Line[o.at:]...))
}

// putPieces makes an object of the pieces and sets a field to it.
func (d *Decision) putPieces(into []field) string {
	n := len(d.json)
	d.json = append(d.appendPieces(append(d.json, '{'), false), '}')
	return d.put(into, d.json[n:])
}

func (d *Decision) appendPieces(dst []byte, top bool) []byte {
	first := true
	for i := range d.pieces {
		p := &d.pieces[i]
		if p.gone || top && string(d.nameOf(p)) == ownKey {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(dst, d.json[p.from:p.to]...)
	}
	return dst
}

// maxDigits is how long a number may be to be taken for one: what a float64 holds
// exactly. Longer ones are ids.
const maxDigits = 15

// appendBare appends a text without quotes as what it looks like: a number or a
// boolean of JSON, else a string.
func appendBare(dst, text []byte) []byte {
	if string(text) == "true" || string(text) == "false" || len(text) <= maxDigits && isNumber(text) {
		return append(dst, text...)
	}
	return entry.AppendString(dst, view(text))
}

// isNumber reports whether a text is a number by RFC 8259, section 6.
func isNumber(text []byte) bool {
	rest := text
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	}
	if len(rest) == 0 || len(rest) > 1 && rest[0] == '0' && rest[1] >= '0' && rest[1] <= '9' {
		return false
	}
	rest, ok := digits(rest)
	if ok && len(rest) > 0 && rest[0] == '.' {
		rest, ok = digits(rest[1:])
	}
	if ok && len(rest) > 0 && rest[0]|' ' == 'e' {
		rest = rest[1:]
		if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		rest, ok = digits(rest)
	}
	return ok && len(rest) == 0
}

func digits(text []byte) (rest []byte, ok bool) {
	n := 0
	for n < len(text) && text[n] >= '0' && text[n] <= '9' {
		n++
	}
	return text[n:], n > 0
}

// appendLoose appends a text in quotes, which may hold the escapes of JSON and
// characters that JSON would want escaped, as a JSON string.
func appendLoose(dst, quoted []byte) ([]byte, bool) {
	dst = append(dst, '"')
	inner := quoted[1 : len(quoted)-1]
	for i := 0; i < len(inner); {
		n := 1
		for i+n < len(inner) && inner[i] != '\\' && inner[i+n] != '\\' {
			n++
		}
		if inner[i] != '\\' {
			dst = appendInside(dst, inner[i:i+n])
			i += n
			continue
		}
		size := escape(inner[i:])
		if size == 0 {
			return dst, false
		}
		dst = append(dst, inner[i:i+size]...)
		i += size
	}
	return append(dst, '"'), true
}

// escape returns the length of the escape of JSON that a text begins with, 0
// where it begins with none.
func escape(text []byte) int {
	if len(text) < 2 {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(text) >= 6 {
			if _, err := strconv.ParseUint(string(text[2:6]), 16, 16); err == nil {
				return 6
			}
		}
	}
	return 0
}

// appendInside appends the inside of a JSON string.
func appendInside(dst, text []byte) []byte {
	start := len(dst)
	dst = entry.AppendString(dst, view(text))
	copy(dst[start:], dst[start+1:len(dst)-1])
	return dst[:len(dst)-2]
}
