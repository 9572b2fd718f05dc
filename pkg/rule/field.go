package rule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// field is a key that an action changes. Its dots lead into objects; a member of
// the line itself that is called so, dots and all, is meant too.
type field struct {
	key    string
	names  []string // its parts
	quoted []string // the parts as they stand in JSON, with their colons
	whole  string   // the key likewise
}

// levelKey is the one field that an entry's subject follows.
const levelKey = "level"

const (
	maxNames  = 16 // parts of a key
	maxFields = 64 // fields of one action: edit.find has a bit for each
)

var (
	errNoKey    = errors.New("the name of a field is missing")
	errOddDots  = errors.New("a name is missing before or behind a dot")
	errOwnKey   = errors.New("what stands under the key dlog is dlog's own: rules cannot change it")
	errTooManyN = errors.New("a key of more than 16 names")
)

func newField(key string) (field, error) {
	f := field{key: key, names: strings.Split(key, "."), whole: quoteKey(key)}
	switch {
	case key == "":
		return f, errNoKey
	case slices.Contains(f.names, ""):
		return f, fmt.Errorf("%q: %w", key, errOddDots)
	case f.names[0] == entry.Key:
		return f, errOwnKey
	case len(f.names) > maxNames:
		return f, errTooManyN
	}
	for _, name := range f.names {
		f.quoted = append(f.quoted, quoteKey(name))
	}
	return f, nil
}

func quoteKey(name string) string { return string(append(entry.AppendString(nil, name), ':')) }

// sibling reports whether the two are members of one object.
func (f *field) sibling(g *field) bool {
	n := len(f.names) - 1
	return len(g.names) == n+1 && slices.Equal(f.names[:n], g.names[:n])
}

// overlaps reports whether one key is the other or lies within it.
func overlaps(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+".") || strings.HasPrefix(b, a+".")
}

func touchesAny(fields []string, all bool, keys []string) bool {
	return all && len(keys) > 0 || slices.ContainsFunc(fields, func(f string) bool {
		return slices.ContainsFunc(keys, func(k string) bool { return overlaps(f, k) })
	})
}

// fieldItem is a field with what a file says about it.
type fieldItem struct {
	field
	config.Item
}

// fieldTable reads { card = …, user.id = … }. Tables within lead into objects, unless
// leaf says that they are a value. None of the fields may lie within another.
func (c *compiler) fieldTable(item config.Item, like string, leaf func(config.Table) bool) []fieldItem {
	t, ok := item.Value.(config.Table)
	if !ok || len(t.Items) == 0 {
		c.fault(item.Errorf("expected a table like %s, found %s", like, describe(item)))
		return nil
	}
	var found []fieldItem
	c.flatten(&found, "", t, leaf)
	c.distinct(item, found)
	return found
}

func describe(item config.Item) string {
	if t, ok := item.Value.(config.Table); ok && len(t.Items) == 0 {
		return "an empty one"
	}
	return item.Describe()
}

func (c *compiler) flatten(found *[]fieldItem, prefix string, t config.Table, leaf func(config.Table) bool) {
	for _, item := range t.Items {
		key := prefix + item.Key
		if sub, ok := item.Value.(config.Table); ok && (leaf == nil || !leaf(sub)) {
			if len(sub.Items) == 0 {
				c.fault(item.Errorf("an empty table says nothing"))
			}
			c.flatten(found, key+".", sub, leaf)
			continue
		}
		f, err := newField(key)
		if err != nil {
			c.fault(item.Errorf("%v", err))
			continue
		}
		*found = append(*found, fieldItem{f, item})
	}
}

// distinct faults fields of one action that are the same or lie within one
// another: which comes first would not be plain to see.
func (c *compiler) distinct(item config.Item, fields []fieldItem) {
	if len(fields) > maxFields {
		c.fault(item.Errorf("names %d fields, more than %d; write a second rule", len(fields), maxFields))
	}
	for i, f := range fields {
		for _, earlier := range fields[:i] {
			if overlaps(f.key, earlier.key) {
				c.fault(f.Errorf("%s and %s overlap; write two rules", earlier.key, f.key))
			}
		}
	}
}

// fieldList reads ["card", "user.id"].
func (c *compiler) fieldList(item config.Item) []field {
	elems, ok := item.Value.([]config.Item)
	if !ok || len(elems) == 0 {
		c.fault(item.Errorf(`expected a list of fields like ["card", "user.email"], found %s`, item.Describe()))
		return nil
	}
	var items []fieldItem
	for _, e := range elems {
		name, ok := e.Value.(string)
		if !ok {
			c.fault(e.Errorf("expected the name of a field in quotes, found %s", e.Describe()))
			continue
		}
		f, err := newField(name)
		if err != nil {
			c.fault(e.Errorf("%v", err))
			continue
		}
		items = append(items, fieldItem{f, e})
	}
	c.distinct(item, items)
	var fields []field
	for _, f := range items {
		fields = append(fields, f.field)
	}
	return fields
}

func keysOf(fields []field) []string {
	var keys []string
	for _, f := range fields {
		keys = append(keys, f.key)
	}
	return keys
}
