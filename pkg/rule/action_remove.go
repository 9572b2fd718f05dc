package rule

import (
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/config"
)

// remove takes fields away.
type remove struct {
	changing
	fields []field
	level  bool
}

func parseRemove(c *compiler, item config.Item) action {
	r := remove{fields: c.fieldList(item)}
	if len(r.fields) == 0 {
		return nil
	}
	r.level = slices.Contains(keysOf(r.fields), levelKey)
	return r
}

func (r remove) apply(d *Decision, _ int) bool {
	spots := d.find(r.fields, ^uint64(0))
	if len(spots) == 0 {
		return true
	}
	had := r.level && slices.ContainsFunc(spots, func(s spot) bool { return r.fields[s.field].key == levelKey })
	if d.cutSpots(spots); had {
		d.relevel()
	}
	return true
}

func (r remove) touches() ([]string, bool) { return keysOf(r.fields), false }
func (r remove) String() string            { return "remove " + strings.Join(keysOf(r.fields), ", ") }
