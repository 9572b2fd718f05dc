package config

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Validator is a target, or a struct within one, that checks itself after its
// keys were decoded. Its faults, joined or single, are reported with the others;
// an error that is no *Error gets the place of the struct. Only structs that
// the file mentions are asked, and the target itself always.
type Validator interface{ Validate() error }

// Later is a struct that names keys which exist in other versions of dlog, so
// that they are refused for that reason and not as misspelt.
type Later interface{ LaterKeys() []string }

// Load decodes a file over the defaults in into, which is a pointer to a struct.
// All faults are in the error, see Faults; what is right has been decoded even
// then. A file that cannot be read gives one error, "read configuration: …".
func Load(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	return Decode(path, data, into)
}

// Decode is Load for a text that was read already; file is used in messages.
func Decode(file string, data []byte, into any) error {
	t, err := Parse(file, data)
	if err != nil {
		return err
	}
	return t.Decode(into)
}

// Decode decodes the table over the defaults in into, a pointer to a struct.
// Fields are named by the tag `toml:"name"`, without one by their name in lower
// case; "-" leaves a field out; an embedded struct without a tag counts as part
// of the one around it. A Table tagged ",self" gets the struct's own table, for
// the places of later faults. An array in the file replaces the default one, a map
// is added to.
func (t Table) Decode(into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return errors.New("decode configuration: the target is not a pointer to a struct")
	}
	var d decoder
	d.structure(t, v.Elem())
	return d.result()
}

type decoder struct {
	faults []error // of spelling, type and meaning
}

func (d *decoder) result() error { return Join(d.faults...) }

func (d *decoder) fault(i Item, format string, args ...any) {
	d.faults = append(d.faults, i.Errorf(format, args...))
}

func (d *decoder) structure(t Table, v reflect.Value) {
	fields, before := map[string]reflect.Value{}, len(d.faults)
	collect(v, t, fields)
	var later []string
	if l, ok := v.Addr().Interface().(Later); ok {
		later = l.LaterKeys()
	}
	for _, item := range t.Items {
		field, ok := fields[item.Key]
		switch {
		case ok:
			d.value(item, field)
		case slices.Contains(later, item.Key):
			d.fault(item, "is not supported by this version of dlog")
		default:
			d.faults = append(d.faults, Unknown(item, keys(fields)))
		}
	}
	d.validate(t, v, before)
}

// validate asks a struct about itself, and those embedded in it, whose methods
// its own may hide. What is said twice is said once in the end.
func (d *decoder) validate(t Table, v reflect.Value, before int) {
	if c, ok := v.Addr().Interface().(Validator); ok {
		d.check(t, c, before)
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.Anonymous && f.IsExported() && f.Type.Kind() == reflect.Struct && f.Tag.Get("toml") == "" {
			d.validate(t, v.Field(i), before)
		}
	}
}

// check asks a struct about itself. What it says of a key that could not be
// decoded (the faults since before) is left out: it saw the default.
func (d *decoder) check(t Table, c Validator, before int) {
	said := d.faults[before:]
	for _, err := range flatten(nil, c.Validate()) {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			d.faults = append(d.faults, t.whole().Errorf("%v", err))
			continue
		}
		if !slices.ContainsFunc(said, func(f error) bool { return same(f, e, t.Line) }) {
			d.faults = append(d.faults, err)
		}
	}
}

// same reports whether two faults are about one key: by its line, or by that of
// the table it should be in.
func same(fault error, e *Error, table int) bool {
	f, ok := errors.AsType[*Error](fault)
	return ok && f.Key == e.Key && (f.Line == e.Line || e.Line == table)
}

// Unknown is the fault of a key that is none of the known ones, with the
// nearest of them.
func Unknown(i Item, known []string) error {
	if near, ok := Nearest(i.Key, known); ok {
		return i.Errorf("unknown key; did you mean %q?", near)
	}
	return i.Errorf("unknown key")
}

func keys(fields map[string]reflect.Value) []string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

var posType, tableType, timeType = reflect.TypeFor[Pos](), reflect.TypeFor[Table](), reflect.TypeFor[time.Time]()

// collect lists the fields of a struct by key, and fills in its Pos and what is
// tagged as the table itself.
func collect(v reflect.Value, at Table, into map[string]reflect.Value) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		tag, option, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case f.Type == posType && f.IsExported():
			v.Field(i).Set(reflect.ValueOf(at.Pos))
		case f.Type == tableType && option == "self":
			v.Field(i).Set(reflect.ValueOf(at))
		case f.Anonymous && tag == "" && f.Type.Kind() == reflect.Struct:
			collect(v.Field(i), at, into)
		case tag == "-" || !f.IsExported():
		case tag == "":
			into[strings.ToLower(f.Name)] = v.Field(i)
		default:
			into[tag] = v.Field(i)
		}
	}
}

func (d *decoder) value(i Item, v reflect.Value) {
	if d.special(i, v) {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(i, v.Elem())
	case reflect.Struct:
		if t, ok := i.Value.(Table); ok {
			d.structure(t, v)
			return
		}
		d.fault(i, "expected a table, found %s", i.Describe())
	case reflect.Slice:
		d.slice(i, v)
	case reflect.Map:
		d.mapping(i, v)
	default:
		d.scalar(i, v)
	}
}

// special decodes the types that decode themselves.
func (d *decoder) special(i Item, v reflect.Value) bool {
	switch v.Type() {
	case tableType:
		t, ok := i.Value.(Table)
		if !ok {
			d.fault(i, "expected a table, found %s", i.Describe())
			return true
		}
		v.Set(reflect.ValueOf(t))
		return true
	case timeType:
		if t, ok := i.Value.(time.Time); ok {
			v.Set(reflect.ValueOf(t))
			return true
		}
		d.fault(i, "expected a time like 2026-12-01T00:00:00Z without quotes, found %s", i.Describe())
		return true
	case reflect.TypeFor[Item]():
		v.Set(reflect.ValueOf(i))
		return true
	}
	u, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	if !ok || v.Kind() == reflect.Pointer {
		return false
	}
	s, ok := i.Value.(string)
	if !ok {
		d.fault(i, "expected %s, found %s", expected(u), i.Describe())
		return true
	}
	if err := u.UnmarshalText([]byte(s)); err != nil {
		d.fault(i, "%v", err)
	}
	return true
}

// expected asks the typed strings of this package what they look like.
func expected(u encoding.TextUnmarshaler) string {
	if e, ok := u.(interface{ expects() string }); ok {
		return e.expects()
	}
	return "a text in quotes"
}

func (d *decoder) slice(i Item, v reflect.Value) {
	items, ok := i.Value.([]Item)
	if !ok {
		d.fault(i, "expected an array%s, found %s", headed(i, v), i.Describe())
		return
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for n, item := range items {
		d.value(item, out.Index(n))
	}
	v.Set(out)
}

// headed tells how an array of tables is written: [one] instead of [[many]] is
// the common mistake.
func headed(i Item, v reflect.Value) string {
	e := v.Type().Elem()
	if e.Kind() == reflect.Struct && e != timeType {
		return fmt.Sprintf(" of tables, headed [[%s]]", i.Path)
	}
	return ""
}

func (d *decoder) mapping(i Item, v reflect.Value) {
	t, ok := i.Value.(Table)
	if !ok || v.Type().Key().Kind() != reflect.String {
		d.fault(i, "expected a table, found %s", i.Describe())
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	for _, item := range t.Items {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(item, e)
		v.SetMapIndex(reflect.ValueOf(item.Key).Convert(v.Type().Key()), e)
	}
}

func (d *decoder) scalar(i Item, v reflect.Value) {
	switch x := i.Value.(type) {
	case string:
		if v.Kind() == reflect.String {
			v.SetString(x)
			return
		}
	case bool:
		if v.Kind() == reflect.Bool {
			v.SetBool(x)
			return
		}
	case float64:
		if v.CanFloat() {
			v.SetFloat(x)
			return
		}
	case int64:
		if d.integer(i, x, v) {
			return
		}
	}
	if v.Kind() == reflect.Interface && v.NumMethod() == 0 {
		v.Set(reflect.ValueOf(i.Value))
		return
	}
	d.fault(i, "expected %s, found %s", kind(v), i.Describe())
}

// integer reports whether it dealt with the value, be it by a fault.
func (d *decoder) integer(i Item, x int64, v reflect.Value) bool {
	switch {
	case v.CanInt():
		if v.OverflowInt(x) {
			d.fault(i, "the number %d is too large", x)
			return true
		}
		v.SetInt(x)
	case v.CanUint():
		if x < 0 || v.OverflowUint(uint64(x)) {
			d.fault(i, "the number %d is out of range", x)
			return true
		}
		v.SetUint(uint64(x))
	case v.CanFloat():
		v.SetFloat(float64(x))
	default:
		return false
	}
	return true
}

func kind(v reflect.Value) string {
	switch {
	case v.Kind() == reflect.String:
		return "a text in quotes"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt() || v.CanUint():
		return "a whole number"
	case v.CanFloat():
		return "a number"
	}
	return "another kind of value"
}
