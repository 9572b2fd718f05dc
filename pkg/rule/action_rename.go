package rule

import (
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// rename gives fields other names, one after the other.
type rename struct {
	changing
	pairs []renamePair
}

// renamePair holds each field as a list of one, as edit.find wants it.
type renamePair struct {
	from, to []field
	inPlace  bool // both are members of one object
	level    bool // the level is one of them
}

func parseRename(c *compiler, item config.Item) action {
	var r rename
	var all []fieldItem
	for _, f := range c.fieldTable(item, `{ msg = "message" }`, nil) {
		name, ok := f.Value.(string)
		if !ok {
			c.fault(f.Errorf("expected the new name in quotes, found %s", f.Describe()))
			continue
		}
		to, err := newField(name)
		if err != nil {
			c.fault(f.Errorf("%v", err))
			continue
		}
		all = append(all, f, fieldItem{to, f.Item})
		r.pairs = append(r.pairs, renamePair{
			from: []field{f.field}, to: []field{to}, inPlace: f.sibling(&to), level: f.key == levelKey || to.key == levelKey,
		})
	}
	c.distinct(item, all)
	if len(r.pairs) == 0 {
		return nil
	}
	return r
}

func (r rename) apply(d *Decision, rule int) bool {
	for i := range r.pairs {
		p := &r.pairs[i]
		v, ok := entry.Lookup(d.Line, p.from[0].key)
		if !ok {
			continue
		}
		if spots := d.find(p.to, 1); len(spots) > 0 {
			d.cutSpots(spots) // the new name is taken over
		}
		if p.inPlace {
			p.renameKeys(d)
		} else if why := p.move(d, v.Raw); why != "" {
			return d.fail(rule, "rename", p.from[0].key, why)
		}
		if p.level {
			d.relevel()
		}
	}
	return true
}

// renameKeys leaves the values where they are.
func (p *renamePair) renameKeys(d *Decision) {
	to := &p.to[0]
	out, at := d.arena, 0
	for _, s := range d.find(p.from, 0) {
		name := to.quoted[len(to.quoted)-1]
		if s.literal {
			name = to.whole
		}
		out = append(append(out, d.Line[at:s.key]...), name...)
		at = s.val
	}
	d.commit(append(out, d.Line[at:]...))
}

// move takes the field away and adds the value elsewhere.
func (p *renamePair) move(d *Decision, value []byte) string {
	d.cutSpots(d.find(p.from, 1))
	if why := d.put(p.to, value); why != "" {
		return why
	}
	if len(p.to[0].names) > 1 && entry.Valid(d.Line) != nil {
		return "its value is nested too deep for the new place"
	}
	return ""
}

func (r rename) touches() ([]string, bool) {
	var keys []string
	for _, p := range r.pairs {
		keys = append(keys, p.from[0].key, p.to[0].key)
	}
	return keys, false
}

func (r rename) String() string {
	var all []string
	for _, p := range r.pairs {
		all = append(all, p.from[0].key+" to "+p.to[0].key)
	}
	return "rename " + strings.Join(slices.Compact(all), ", ")
}
