package rule

import (
	"regexp"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// parse makes fields of the text of others. They take the places of fields of the
// same name; dlog's own key is never among them.
type parse struct {
	changing
	sources []source
}

// source is a field with what its text is.
type source struct {
	from []field // one
	form form
	into []field // one, or none: the top of the entry
	said string
}

// form is a way to write fields into a text.
type form interface {
	// fields gathers the fields of a text in d; what it returns says why it
	// cannot, "" where it could.
	fields(d *Decision, text []byte) string
	// names lists all fields it can find; any: it cannot tell.
	names() (names []string, any bool)
}

func parseParse(c *compiler, item config.Item) action {
	var p parse
	isSource := func(t config.Table) bool { _, ok := t.Get("as"); return ok }
	var taken []fieldItem
	for _, f := range c.fieldTable(item, `{ message = "json" }`, isSource) {
		s, ok := c.source(f)
		if !ok {
			continue
		}
		for _, into := range s.into {
			taken = append(taken, fieldItem{into, f.Item})
		}
		p.sources = append(p.sources, s)
	}
	c.distinct(item, taken)
	if len(p.sources) == 0 {
		return nil
	}
	return p
}

// source reads "json", or { as = "json", into = "payload" }.
func (c *compiler) source(f fieldItem) (source, bool) {
	s := source{from: []field{f.field}}
	as := f.Item
	if t, ok := f.Value.(config.Table); ok {
		var form struct {
			As   config.Item `toml:"as"`
			Into string      `toml:"into"`
		}
		if err := t.Decode(&form); err != nil {
			c.fault(err)
			return s, false
		}
		if as = form.As; form.Into != "" {
			into, err := newField(form.Into)
			if err != nil {
				c.fault(t.Fault("into", -1, "%v", err))
				return s, false
			}
			if into.names[0] == levelKey {
				c.fault(t.Fault("into", -1, "an object is no level"))
			}
			s.into = []field{into}
		}
	}
	word, _ := as.Value.(string)
	switch {
	case word == "json":
		s.form = jsonForm{}
	case word == "logfmt":
		s.form = logfmtForm{}
	case strings.HasPrefix(word, "~"):
		re, err := newRegexpForm(word[1:], len(s.into) == 0)
		if err != nil {
			c.fault(as.Errorf("%v", err))
			return s, false
		}
		s.form = re
	default:
		c.fault(as.Errorf(`expected "json", "logfmt" or "~regexp" with names, found %s`, as.Describe()))
		return s, false
	}
	s.said = f.key + " as " + word
	for _, into := range s.into {
		s.said += " into " + into.key
	}
	return s, true
}

func (s *source) touches() ([]string, bool) {
	if len(s.into) > 0 {
		return []string{s.into[0].key}, false
	}
	return s.form.names()
}

func (p parse) apply(d *Decision, rule int) bool {
	for i := range p.sources {
		s := &p.sources[i]
		v, _ := entry.Lookup(d.Line, s.from[0].key)
		if v.Kind == entry.Absent || v.Kind == entry.Null {
			continue
		}
		if why := s.apply(d, v); why != "" {
			return d.fail(rule, "parse", s.from[0].key, why)
		}
	}
	return true
}

func (s *source) apply(d *Decision, v entry.Value) string {
	if v.Kind != entry.String {
		return "is no text"
	}
	d.pieces, d.json = d.pieces[:0], d.json[:0]
	if why := s.form.fields(d, v.Text(d.room(len(v.Raw)))); why != "" {
		return why
	}
	if len(s.into) == 0 {
		if d.merge(); d.hasPiece([]byte(quotedLevel)) {
			d.relevel()
		}
		return ""
	}
	if why := d.putPieces(s.into); why != "" {
		return why
	}
	if entry.Valid(d.Line) != nil {
		return "is nested too deep for the new place"
	}
	return ""
}

func (p parse) touches() (fields []string, any bool) {
	for i := range p.sources {
		f, a := p.sources[i].touches()
		fields, any = append(fields, f...), any || a
	}
	return fields, any
}

func (p parse) String() string {
	var all []string
	for _, s := range p.sources {
		all = append(all, s.said)
	}
	return "parse " + strings.Join(all, ", ")
}

// jsonForm is a JSON object.
type jsonForm struct{}

func (jsonForm) fields(d *Decision, text []byte) string {
	if entry.Valid(text) != nil {
		return "is no JSON object"
	}
	var buf [128]byte
	for name, v := range entry.Members(text) {
		if !d.piece(name.Text(buf[:])) {
			return whyMany
		}
		d.json = appendCompact(d.json, v.Raw)
		d.endPiece()
	}
	return ""
}

func (jsonForm) names() ([]string, bool) { return nil, true }

// regexpForm is whatever a regular expression says; its named groups are fields.
type regexpForm struct {
	re     *regexp.Regexp
	groups [][]byte // names by number, nil for those without
	found  []string // the names
}

func newRegexpForm(text string, top bool) (regexpForm, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return regexpForm{}, badRegexp(err)
	}
	f := regexpForm{re: re}
	for _, name := range re.SubexpNames() {
		if name == entry.Key && top {
			return f, errOwnKey
		}
		if name == "" {
			f.groups = append(f.groups, nil)
			continue
		}
		f.groups, f.found = append(f.groups, []byte(name)), append(f.found, name)
	}
	if len(f.found) == 0 {
		return f, errNoGroups
	}
	return f, nil
}

func (f regexpForm) fields(d *Decision, text []byte) string {
	m := f.re.FindSubmatchIndex(text) // the one allocation that package regexp cannot spare us
	if m == nil {
		return "does not match the regexp"
	}
	for i, name := range f.groups {
		if name == nil || m[2*i] < 0 {
			continue
		}
		if !d.piece(name) {
			return whyMany
		}
		d.json = appendBare(d.json, text[m[2*i]:m[2*i+1]])
		d.endPiece()
	}
	return ""
}

func (f regexpForm) names() ([]string, bool) { return f.found, false }
