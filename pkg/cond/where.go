package cond

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Where is the conditions of a command line. It is for one goroutine; Clone
// makes one for another.
type Where struct {
	cond    Cond
	matcher Matcher
	layout  *Layout
	record  Record
}

// ParseWhere compiles conditions as they stand after --where; all have to hold:
//
//	service=payments   level>=warn   duration_ms>500   message~^GET
//	user.id=*          user.id=      region=eu,us      region!=test
//	code="a,b"         (in quotes: the text itself, with commas and operators)
//
// No arguments make a Where that everything matches. All faults are in the
// error, one line each.
func ParseWhere(args []string) (*Where, error) {
	var nodes all
	var faults []error
	for _, arg := range args {
		n, err := parseWhere(arg)
		if err != nil {
			faults = append(faults, fmt.Errorf("condition %q: %w", short(arg), err))
			continue
		}
		nodes = append(nodes, n)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return newWhere(Cond{nodes}), nil
}

func newWhere(c Cond) *Where {
	var b Binder
	w := &Where{cond: c, matcher: b.Bind(c)}
	w.layout = b.Layout()
	return w
}

// Match reports whether an entry fulfils all conditions. Pass the zero Subject
// for an entry that has none. The level of a task's start or end is that of its
// JSON. Of a line that is no JSON object every field is absent.
func (w *Where) Match(s subject.Subject, line []byte) bool {
	w.record.load(w.layout, s, line)
	return w.matcher.Match(&w.record)
}

// Cond returns the conditions, for who resolves them by subject.
func (w *Where) Cond() Cond { return w.cond }

// String returns the conditions in one canonical form.
func (w *Where) String() string { return w.cond.String() }

// Clone returns a Where with the same conditions for another goroutine.
func (w *Where) Clone() *Where { return newWhere(w.cond) }

const whereHelp = "write it like service=payments, level>=warn, duration_ms>500 or message~^GET"

func parseWhere(arg string) (node, error) {
	at := strings.IndexAny(arg, "=<>~!")
	if at < 0 {
		return nil, errors.New("it has no operator; " + whereHelp)
	}
	key, rest := strings.TrimSpace(arg[:at]), arg[at:]
	if key == "" {
		return nil, errors.New("the field is missing; " + whereHelp)
	}
	switch {
	case rest[0] == '~':
		return matching(key, rest[1:])
	case rest[0] == '<' || rest[0] == '>':
		return parseText(key, rest)
	case strings.HasPrefix(rest, "!="):
		n, err := parseList(key, rest[2:])
		return not{n}, err
	case rest[0] == '=':
		return parseList(key, rest[1:])
	}
	return nil, errors.New("! needs a = behind it, as in region!=test; " + whereHelp)
}

// parseList compiles what follows a =: values separated by commas.
func parseList(key, s string) (node, error) {
	values, err := splitValues(s)
	if err != nil {
		return nil, err
	}
	var nodes anyOf
	for _, v := range values {
		n, err := v.compile(key)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return merge(nodes), nil
}

// whereValue is one value; quoted ones are literal.
type whereValue struct {
	text   string
	quoted bool
}

func (v whereValue) compile(key string) (node, error) {
	switch {
	case v.quoted:
		return equalTo(key, v.text)
	case v.text != "" && strings.IndexByte("<>~=", v.text[0]) >= 0:
		op := key + v.text
		if v.text[0] == '=' {
			op = key + "=" + strings.TrimLeft(v.text, "=")
		}
		return nil, fmt.Errorf("two operators; write %s, or %s=%q for the text itself", op, key, v.text)
	}
	return parseText(key, v.text)
}

func splitValues(s string) ([]whereValue, error) {
	var values []whereValue
	for more := true; more; {
		var v whereValue
		var err error
		if strings.HasPrefix(s, `"`) {
			v, s, err = quotedValue(s)
			more = strings.HasPrefix(s, ",")
			s = strings.TrimPrefix(s, ",")
		} else {
			v.text, s, more = strings.Cut(s, ",")
		}
		if err != nil {
			return nil, err
		}
		values = append(values, v)
	}
	for _, v := range values {
		if len(values) > 1 && !v.quoted && v.text == "" {
			return nil, errors.New(`a value between commas is empty; write "" for the empty text, or FIELD= alone for absent`)
		}
	}
	return values, nil
}

// quotedValue reads a JSON string at the beginning of s.
func quotedValue(s string) (v whereValue, rest string, err error) {
	d := json.NewDecoder(strings.NewReader(s))
	if err := d.Decode(&v.text); err != nil {
		return v, "", errors.New(`the quotes are not closed; write the text itself like code="a,b"`)
	}
	v.quoted = true
	rest = s[d.InputOffset():]
	if rest != "" && rest[0] != ',' {
		return v, "", fmt.Errorf("%q follows the closing quote; separate values by commas", short(rest))
	}
	return v, rest, nil
}
