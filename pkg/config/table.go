package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Pos is a place in a file. A struct field of this type is filled with the
// place of the table that the struct was decoded from.
type Pos struct {
	File string
	Line int
}

// Errorf makes a fault at this place, for the dotted key given.
func (p Pos) Errorf(key, format string, args ...any) error {
	return &Error{File: p.File, Line: p.Line, Key: key, Msg: fmt.Sprintf(format, args...)}
}

// Item is a key with its value, or an element of an array.
type Item struct {
	Pos
	Key   string // the key's last name; the array's for an element
	Path  string // dotted from the top of the file, without array indices
	Value any    // string, int64, float64, bool, time.Time, []Item or Table
}

// Errorf makes a fault of this item.
func (i Item) Errorf(format string, args ...any) error {
	return i.Pos.Errorf(i.Path, format, args...)
}

// Describe says what kind of value the item has, for messages: `the text "x"`.
func (i Item) Describe() string {
	switch v := i.Value.(type) {
	case string:
		return fmt.Sprintf("the text %q", v)
	case int64:
		return fmt.Sprintf("the number %d", v)
	case float64:
		return fmt.Sprintf("the number %v", v)
	case bool:
		return fmt.Sprintf("%v", v)
	case time.Time:
		return "a date or time"
	case []Item:
		return "an array"
	case Table:
		return "a table"
	}
	return "nothing"
}

// Table is a TOML table as it stands in the file: keys in their order, each
// with its place. A target field of this type takes any table as it is, for
// code that decides later what the keys mean. The zero Table is a table that is
// not in the file.
type Table struct {
	Pos
	Path  string // dotted from the top of the file; empty for the file itself
	Items []Item
}

// Present reports whether the file has this table, be it empty.
func (t Table) Present() bool { return t.Line > 0 || len(t.Items) > 0 }

// Get returns the item of a key.
func (t Table) Get(key string) (Item, bool) {
	for _, item := range t.Items {
		if item.Key == key {
			return item, true
		}
	}
	return Item{}, false
}

// Without returns the table without the keys named, for the part of a table
// that somebody else decodes.
func (t Table) Without(keys ...string) Table {
	t.Items = slices.DeleteFunc(slices.Clone(t.Items), func(i Item) bool { return slices.Contains(keys, i.Key) })
	return t
}

// Errorf makes a fault of the table as a whole.
func (t Table) Errorf(format string, args ...any) error {
	return t.Pos.Errorf(t.Path, format, args...)
}

// Fault makes a fault of what stands under a dotted key of the table: of its
// nth element where n is not negative and it has one. Where the file has no such
// key, the fault has the place of what it would stand in; the file as a whole
// has none.
func (t Table) Fault(key string, n int, format string, args ...any) error {
	at, path := t.whole().Pos, key
	if t.Path != "" {
		path = t.Path + "." + key
	}
	for name, rest, more := strings.Cut(key, "."); ; name, rest, more = strings.Cut(rest, ".") {
		item, ok := t.Get(name)
		if !ok {
			break
		}
		at = item.Pos
		if elems, ok := item.Value.([]Item); ok && !more && n >= 0 && n < len(elems) {
			at = elems[n].Pos
		}
		if t, ok = item.Value.(Table); !ok || !more {
			break
		}
	}
	return at.Errorf(path, format, args...)
}

// whole takes the line from a table that is the whole file: its first line says
// nothing.
func (t Table) whole() Table {
	if t.Path == "" {
		t.Line = 0
	}
	return t
}

// Parse reads TOML into a Table. file is used in messages only. The error of a
// text that is no TOML is one *Error, with the first fault.
func Parse(file string, data []byte) (Table, error) {
	var values map[string]any
	if _, err := toml.Decode(string(data), &values); err != nil {
		return Table{}, syntaxError(file, err)
	}
	b := builder{file: file, at: locate(string(data))}
	top := b.table("", "", values, 1)
	return top, nil
}

func syntaxError(file string, err error) error {
	if pe, ok := errors.AsType[toml.ParseError](err); ok {
		msg := "not valid TOML: " + strings.TrimPrefix(pe.Message, "toml: ")
		return &Error{File: file, Line: pe.Position.Line, Msg: oneLine(msg)}
	}
	return &Error{File: file, Msg: oneLine("not valid TOML: " + err.Error())}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// builder marries the values that the TOML library found with the places that
// locate found: the library keeps no places.
type builder struct {
	file string
	at   *places
}

func (b *builder) table(id, path string, values map[string]any, line int) Table {
	t := Table{Pos: Pos{b.file, line}, Path: path, Items: make([]Item, 0, len(values))}
	offsets := make(map[string]int, len(values))
	for key, v := range values {
		kid, kpath := id+sep+key, key
		if path != "" {
			kpath = path + "." + key
		}
		offset, kline := b.at.find(kid)
		if kline == 0 {
			offset, kline = math.MaxInt, line
		}
		offsets[key] = offset
		t.Items = append(t.Items, b.item(kid, kpath, key, v, kline))
	}
	slices.SortFunc(t.Items, func(x, y Item) int {
		if d := offsets[x.Key] - offsets[y.Key]; d != 0 {
			return d
		}
		return strings.Compare(x.Key, y.Key)
	})
	return t
}

func (b *builder) item(id, path, key string, v any, line int) Item {
	item := Item{Pos: Pos{b.file, line}, Path: path, Key: key, Value: v}
	switch v := v.(type) {
	case map[string]any:
		item.Value = b.table(id, path, v, line)
	case []map[string]any:
		elems := make([]any, len(v))
		for i := range v {
			elems[i] = v[i]
		}
		item.Value = b.array(id, path, key, elems, line)
	case []any:
		item.Value = b.array(id, path, key, v, line)
	}
	return item
}

func (b *builder) array(id, path, key string, elems []any, line int) []Item {
	items := make([]Item, len(elems))
	for i, v := range elems {
		eid := element(id, i)
		_, eline := b.at.find(eid)
		if eline == 0 {
			eline = line
		}
		items[i] = b.item(eid, path, key, v, eline)
	}
	return items
}
