package rule

import (
	"encoding/json"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// set gives fields fixed values.
type set struct {
	changing
	fields []field
	values [][]byte // JSON
	level  bool     // the level is one of the fields
}

func parseSet(c *compiler, item config.Item) action {
	var s set
	for _, f := range c.fieldTable(item, `{ team = "payments" }`, nil) {
		value, err := jsonOf(f.Item)
		if err == nil && f.key == levelKey {
			value, err = levelOf(f.Item)
			s.level = true
		}
		if err != nil {
			c.fault(err)
			continue
		}
		s.fields, s.values = append(s.fields, f.field), append(s.values, value)
	}
	if len(s.fields) == 0 {
		return nil
	}
	return s
}

// jsonOf is a value of TOML as JSON on one line.
func jsonOf(item config.Item) ([]byte, error) {
	value, err := json.Marshal(plain(item.Value))
	if err != nil { // JSON knows neither NaN nor Inf
		return nil, item.Errorf("no entry can hold %s", item.Describe())
	}
	if text, ok := item.Value.(string); ok {
		value = entry.AppendString(nil, text) // as zerolog writes it: < > & stay readable
	}
	if entry.Valid(append(append([]byte(strings.Repeat(`{"":`, maxNames)), value...), strings.Repeat("}", maxNames)...)) != nil {
		return nil, item.Errorf("is nested too deep")
	}
	return value, nil
}

func levelOf(item config.Item) ([]byte, error) {
	word, ok := item.Value.(string)
	if l, known := entry.ParseLevel(word); ok && known && l != entry.None {
		return entry.AppendString(nil, l.String()), nil
	}
	return nil, item.Errorf(`expected a level like "warn", found %s; to take it away write remove = ["level"]`, item.Describe())
}

func (s set) apply(d *Decision, rule int) bool {
	for i := range s.fields {
		if why := d.put(s.fields[i:i+1], s.values[i]); why != "" {
			return d.fail(rule, "set", s.fields[i].key, why)
		}
	}
	if s.level {
		d.relevel()
	}
	return true
}

func (s set) touches() ([]string, bool) { return keysOf(s.fields), false }

func (s set) String() string {
	var all []string
	for i, f := range s.fields {
		all = append(all, f.key+" = "+string(s.values[i]))
	}
	return "set " + strings.Join(all, ", ")
}
