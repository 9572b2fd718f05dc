package agent

import (
	"bytes"
	"strconv"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// Bounds of what is kept of one entry, in bytes.
const (
	maxRest = 64 << 10  // of the lines that belong to a first one
	maxText = 160 << 10 // of a text
)

// A decoder turns the lines of one stream into drafts. It is not safe for concurrent use.
type decoder struct {
	format Format
	cal    calendar
	field  []byte // one more member for each entry: `,"stream":"stdout"`
	emit   func(*draft)

	rec    draft
	json   *jsonScan
	logfmt logfmt
	eliot  eliotReader
	pack   packer

	held    joined
	heldRec draft
	spare   []byte // a line of text before it is known where it belongs
	whole   []byte // a message that is put together
}

// newDecoder makes a decoder that hands its drafts to emit, one at a time. stream is the value of the member "stream", "" for none.
func newDecoder(format Format, cal calendar, stream string, emit func(*draft)) *decoder {
	d := &decoder{format: format, cal: cal, emit: emit, json: newJSONScan()}
	d.logfmt = logfmt{cal: &d.cal, strict: format != Logfmt}
	if stream != "" {
		d.field = appendQuoted([]byte(`,"`+streamKey+`":`), []byte(stream))
	}
	return d
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// line takes one line without its "\n". size is its full length where only the beginning was kept, else 0. An entry of text is held
// back until it is known what follows it.
func (d *decoder) line(line []byte, size int) {
	line = bytes.TrimSuffix(line, []byte{'\r'})
	line = bytes.TrimPrefix(line, byteOrderMark)
	trimmed := bytes.Trim(line, " \t\r")
	if len(trimmed) == 0 {
		d.blank()
		return
	}
	if size == 0 && d.structured(trimmed) {
		return
	}
	if !d.format.text() {
		d.flush()
		d.plain(line, size)
		return
	}
	d.text(line, size)
}

// structured takes a line of JSON or logfmt.
func (d *decoder) structured(line []byte) bool {
	r := d.fresh()
	switch {
	case d.format.json() && line[0] == '{' && line[len(line)-1] == '}' && d.json.scan(line):
		d.object(r, line)
	case d.format.logfmt() && bytes.IndexByte(line, '=') > 0 && d.logfmt.parse(r, line, d.field):
	default:
		return false
	}
	d.flush() // what was held came before
	d.emit(r)
	if cap(d.json.buf) > keptBuffer {
		d.json.buf = nil
	}
	return true
}

// fresh returns the draft to fill. What is held is not in it yet.
func (d *decoder) fresh() *draft {
	d.rec = draft{level: entry.None, keys: d.rec.keys[:0]}
	return &d.rec
}

// object fills the draft from a JSON line that was scanned.
func (d *decoder) object(r *draft, line []byte) {
	switch {
	case d.json.own(r, line):
	case d.json.isEliot() && d.eliot.read(r, line, d.json, d.field):
	default:
		d.json.normalise(r, line, &d.cal, d.field)
	}
}

// plain makes a draft of a line that is nothing but text.
func (d *decoder) plain(line []byte, size int) {
	r := d.fresh()
	r.timeless = true
	d.pack.begin()
	d.pack.message(line)
	d.finish(r, size, len(line))
}

// finish closes the packer's object and hands the draft on.
func (d *decoder) finish(r *draft, size, kept int) {
	if cut := d.pack.cut; cut || size > kept {
		r.keys = append(r.keys, `,"cut":"from `...)
		r.keys = strconv.AppendInt(r.keys, int64(max(size, kept)), 10)
		r.keys = append(r.keys, ` bytes: message"`...)
	}
	r.body = d.pack.end(d.field)
	d.emit(r)
}

// own takes a line with a dlog key that can be believed: it stays as it is.
func (s *jsonScan) own(r *draft, line []byte) bool {
	v := s.other[slotDlog]
	if v.Kind != entry.Object {
		return false
	}
	meta, err := entry.ParseMeta(v.Raw)
	if err != nil {
		return false
	}
	g, _ := s.findLevel()
	r.level, r.body, r.meta, r.place, r.kept = g.level, line, meta, own, true
	r.frames = meta.Event != ""
	return true
}

func (s *jsonScan) isEliot() bool {
	return s.other[slotUUID].Kind == entry.String && s.other[slotTaskLevel].Kind == entry.Array
}

// packer builds the JSON object of a text.
type packer struct {
	b   []byte
	cut bool
}

func (p *packer) begin() { p.b, p.cut = append(p.b[:0], '{'), false }

func (p *packer) name(name string) {
	if len(p.b) > 1 {
		p.b = append(p.b, ',')
	}
	p.b = appendName(p.b, name)
}

func (p *packer) level(g grade, word []byte) {
	if g.level == entry.None {
		return
	}
	p.name("level")
	p.b = entry.AppendString(p.b, g.level.String())
	if len(word) > 0 {
		p.name(severityKey)
		p.b = appendQuoted(p.b, word)
	}
}

func (p *packer) time(t time.Time) {
	p.name("time")
	p.b = append(appendTime(append(p.b, '"'), t), '"')
}

// number appends digits as a number where JSON allows it.
func (p *packer) number(digits []byte) {
	if isNumber(digits) {
		p.b = append(p.b, digits...)
		return
	}
	p.b = appendQuoted(p.b, digits)
}

func (p *packer) message(text []byte) {
	p.name("message")
	p.text(text)
}

// text appends a string of at most maxText bytes, escapes included.
func (p *packer) text(text []byte) {
	at := len(p.b)
	for n := min(len(text), maxText); ; {
		p.b = appendQuoted(p.b[:at], text[:n])
		size := len(p.b) - at
		if n == len(text) && size <= maxText+2 {
			return
		}
		if size <= maxText+2 {
			break
		}
		n = min(n-1, int(int64(n)*maxText/int64(size))) // what is left is shorter by at least one byte, and most often right at once
		for n > 0 && n < len(text) && text[n]&0xc0 == 0x80 {
			n-- // not within a character
		}
	}
	p.cut = true
	p.b = append(p.b[:len(p.b)-1], `…"`...)
}

func (p *packer) end(field []byte) []byte {
	if len(p.b) == 1 && len(field) > 0 {
		field = field[1:]
	}
	p.b = append(append(p.b, field...), '}')
	return p.b
}
