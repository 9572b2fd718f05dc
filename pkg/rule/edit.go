package rule

import (
	"bytes"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// edit changes lines without decoding them: bytes that no action means stay what
// they are, in their order. Each change appends the whole new line to one buffer,
// so that copies made earlier keep theirs, and nothing is allocated once the
// buffers have grown.
//
// A key may stand in one object more than once, and only the last one counts.
// Here all of them are meant: a secret must not stay because another value hides it.
type edit struct {
	arena   []byte // all lines made for this entry
	spots   []spot
	text    []byte // a value's text
	json    []byte // members in the making
	pieces  []piece
	changed bool // since it was last asked
	cut     bool // a line had to be shortened, so any field may have changed
	ids     [3]entry.Value
}

// maxKept bounds what a Decision keeps from entry to entry.
const maxKept = 4 * entry.MaxLine

func (e *edit) reset() {
	if cap(e.arena) > maxKept {
		e.arena = nil
	}
	e.arena, e.changed, e.cut = e.arena[:0], false, false
}

// spot is a member of an object that one of the fields looked for means. All are
// offsets in the line.
type spot struct {
	field    int // which of them
	key      int // of the name's first quote
	val, end int // of the value
	from, to int // of what has to go to leave an object: a comma too
	literal  bool
}

// find lists the members that fields mean, in the order of the line. Bit i of cuts
// says that field i is to be cut.
func (d *Decision) find(fields []field, cuts uint64) []spot {
	d.spots = d.spots[:0]
	active := ^uint64(0) >> (maxFields - len(fields))
	d.findIn(d.Line, search{fields: fields, active: active, cuts: cuts})
	return d.spots
}

// search is what is looked for in an object.
type search struct {
	fields []field
	active uint64 // those whose names so far are those of the objects around
	cuts   uint64
	base   int // offset of the object in the line
	depth  int
}

func (d *Decision) findIn(object []byte, s search) {
	var commas commas
	var buf [128]byte
	for name, v := range entry.Members(object) {
		key, val := s.base+name.At(), s.base+v.At()
		commas.next(d.spots, key)
		hit, literal, below := s.match(name.Text(buf[:]), v.Kind)
		if hit < 0 {
			commas.keep(val + len(v.Raw))
			if below != 0 {
				inner := s
				inner.active, inner.base, inner.depth = below, val, s.depth+1
				d.findIn(v.Raw, inner)
			}
			continue
		}
		at := spot{field: hit, key: key, val: val, end: val + len(v.Raw), literal: literal}
		if s.cuts>>hit&1 != 0 {
			commas.cut(&at, len(d.spots))
		} else {
			commas.keep(at.end)
		}
		d.spots = append(d.spots, at)
	}
}

// match returns the field that a member is, else -1 and those that lie within it.
func (s *search) match(name []byte, kind entry.Kind) (hit int, literal bool, below uint64) {
	for i := range s.fields {
		f := &s.fields[i]
		switch {
		case s.active>>i&1 == 0:
		case s.depth == 0 && string(name) == f.key:
			return i, true, 0
		case string(name) != f.names[s.depth]:
		case s.depth == len(f.names)-1:
			return i, false, 0
		case kind == entry.Object:
			below |= 1 << i
		}
	}
	return -1, false, below
}

// commas finds which comma goes with a member that is cut: the one before it, or
// where no member is left before it, the one behind it.
type commas struct {
	kept bool // a member before this one stays
	prev int  // where the member before ended
	open int  // 1 + index of the spot that goes on to the next member
}

func (c *commas) next(spots []spot, key int) {
	if c.open > 0 {
		spots[c.open-1].to = key
		c.open = 0
	}
}

func (c *commas) keep(end int) { c.kept, c.prev = true, end }

// cut says what goes with the spot that will have this index.
func (c *commas) cut(s *spot, index int) {
	s.from, s.to = s.key, s.end
	if c.kept {
		s.from = c.prev
	} else {
		c.open = index + 1
	}
	c.prev = s.end
}

// commit takes what was appended to the arena for the new line.
func (d *Decision) commit(arena []byte) {
	line := arena[len(d.arena):]
	d.arena, d.changed = arena, true
	if len(line) > entry.MaxLine {
		line, d.cut = entry.CutLine(nil, line, entry.MaxLine), true
	}
	d.Line = line[:len(line):len(line)]
}

// cutSpots makes a line without the spots.
func (d *Decision) cutSpots(spots []spot) {
	out, at := d.arena, 0
	for _, s := range spots {
		out = append(out, d.Line[at:s.from]...)
		at = s.to
	}
	d.commit(append(out, d.Line[at:]...))
}

// put sets a field, given as a list of one, to a value that is JSON: where it is,
// else behind the others. It returns why it cannot, "" where it could.
func (d *Decision) put(f []field, value []byte) string {
	if spots := d.find(f, 0); len(spots) > 0 {
		if _, counts := entry.Lookup(d.Line, f[0].key); counts {
			out, at := d.arena, 0
			for _, s := range spots {
				out = append(append(out, d.Line[at:s.val]...), value...)
				at = s.end
			}
			d.commit(append(out, d.Line[at:]...))
			return ""
		}
	}
	return d.add(&f[0], value)
}

const whyNoObject = "it would lie in something that is no object"

// add sets a field that is not there.
func (d *Decision) add(f *field, value []byte) string {
	object, base := d.Line, 0
	for i, name := range f.names {
		r := look(object, name, i == 0)
		switch kind := r.found.Kind; {
		case kind == entry.Absent:
			out := append(append(d.arena, d.Line[:base+r.at]...), r.lead...)
			out = append(appendNested(out, f.quoted[i:], value), r.trail...)
			d.commit(append(out, d.Line[base+r.at:]...))
			return ""
		case i < len(f.names)-1 && kind == entry.Object:
			base, object = base+r.found.At(), r.found.Raw
		case i < len(f.names)-1 && kind == entry.Null:
			at := base + r.found.At()
			out := append(append(d.arena, d.Line[:at]...), '{')
			out = append(appendNested(out, f.quoted[i+1:], value), '}')
			d.commit(append(out, d.Line[at+len(r.found.Raw):]...))
			return ""
		default:
			return whyNoObject
		}
	}
	return whyNoObject
}

// appendNested appends a member, with the objects that it lies in.
func appendNested(dst []byte, names []string, value []byte) []byte {
	for i, name := range names {
		if i > 0 {
			dst = append(dst, '{')
		}
		dst = append(dst, name...)
	}
	dst = append(dst, value...)
	for range names[1:] {
		dst = append(dst, '}')
	}
	return dst
}

// opening says where a member can be added to an object.
type opening struct {
	found       entry.Value // the last member of the name asked for
	at          int         // offset in the object
	lead, trail string      // commas
}

// look looks a name up in an object, and where one could be added: behind the
// others, but at the top before dlog's own key where that is the last.
func look(object []byte, name string, top bool) opening {
	var r opening
	var buf [128]byte
	last, own := -1, false
	for n, v := range entry.Members(object) {
		text := n.Text(buf[:])
		if string(text) == name {
			r.found = v
		}
		if own = top && string(text) == entry.Key; own {
			r.at = n.At()
		}
		last = v.At() + len(v.Raw)
	}
	switch {
	case own:
		r.trail = ","
	case last < 0:
		r.at = bytes.IndexByte(object, '{') + 1
	default:
		r.at, r.lead = last, ","
	}
	return r
}

// relevel makes conditions and copies follow the level that the line has now.
func (d *Decision) relevel() {
	level := entry.None
	if v, _ := entry.Lookup(d.Line, levelKey); v.Kind == entry.String {
		level, _ = entry.ParseLevel(view(v.Text(d.room(len(v.Raw)))))
	}
	d.record.SetLevel(level)
	if d.level = level.Token(); d.task || d.level == d.told {
		d.level = ""
	}
}

// room returns a buffer for a text of that many bytes.
func (e *edit) room(n int) []byte {
	if cap(e.text) < n {
		e.text = make([]byte, 0, 2*n)
	}
	return e.text[:0]
}

// appendCompact appends JSON without the white space between its tokens, so that
// it stands on one line.
func appendCompact(dst, json []byte) []byte {
	quoted := false
	for i := 0; i < len(json); i++ {
		switch c := json[i]; {
		case quoted && c == '\\':
			dst = append(dst, c, json[i+1])
			i++
			continue
		case c == '"':
			quoted = !quoted
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			continue
		}
		dst = append(dst, json[i])
	}
	return dst
}
