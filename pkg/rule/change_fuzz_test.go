package rule_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/rule"
)

// editors are rules whose fields the fuzzed lines may hold, and the fields at the
// top that they may change.
var editors = []struct{ does, fields string }{
	{"set = { a = 1, user.id = 'x' }", "a user user.id"},
	{"remove = ['a', 'user.id', 'b']", "a user user.id b"},
	{"rename = { a = 'b', user.id = 'c' }", "a b c user user.id"},
	{"rename = { a = 'user.id' }", "a user user.id"},
	{"redact = { a = 'hash', user.id = 'last4', b = 'mask', c = 'remove' }", "a b c user user.id"},
	{"parse = { a = '~(?P<b>.)(?P<c>.*)' }", "b c"},
	{"parse = { a = { as = 'logfmt', into = 'c' } }", "c"},
	{"parse = { a = { as = 'json', into = 'user.id' } }", "user user.id"},
}

// FuzzEditors holds that whatever an editor is given it makes a line that is one
// JSON object, and that what it does not mean stays as it was: byte by byte, in its
// order.
func FuzzEditors(f *testing.F) {
	var sets []*rule.Set
	for _, e := range editors {
		sets = append(sets, mustCompile(f, changes(e.does)))
	}
	for _, line := range []string{
		`{}`, ` { "a" : 1 , "b":2,"a":{"x":[]} } `, `{"user":{"id":"12345678","id":{}},"dlog":{"svc":"x"}}`, `{"user.id":1.0,"user":null}`,
		`{"\u0061":"a=1 b=\"c\"","c":0,"c":1}`, `{"a":"{\"x\":{\"y\":[1,\n2]}}","z":1e5}`, `{"user":{"x":1,"id":2,"y":3},"b":"` + "\xff" + `","c":null}`,
	} {
		f.Add([]byte(line))
	}
	var d rule.Decision
	f.Fuzz(func(t *testing.T, line []byte) {
		if entry.Valid(line) != nil {
			return
		}
		for i, set := range sets {
			if err := set.Plan(parse(t, "dlog.in.a.info.-")).Eval(line, &d); err != nil {
				t.Fatal(err)
			}
			if d.Dead >= 0 {
				continue
			}
			got := d.Copies[0].Line
			if err := entry.Valid(got); err != nil {
				t.Fatalf("%s: %q became %q: %v", editors[i].does, line, got, err)
			}
			if bytes.Count(got, []byte("\n")) > bytes.Count(line, []byte("\n")) {
				t.Errorf("%s: %q became more lines: %q", editors[i].does, line, got)
			}
			meant := strings.Fields(editors[i].fields)
			if before, after := others(line, meant), others(got, meant); before != after {
				t.Errorf("%s: %q became %q: other fields\nwere %s\nare  %s", editors[i].does, line, got, before, after)
			}
			promise(t, editors[i].does, line, got)
		}
	})
}

// others writes the members of a line that are not meant.
func others(line []byte, meant []string) string {
	var b strings.Builder
	for name, v := range entry.Members(line) {
		isMeant := false
		for _, m := range meant {
			isMeant = isMeant || m == string(name.Text(nil))
		}
		if !isMeant {
			b.Write(name.Raw)
			b.WriteByte(':')
			b.Write(v.Raw)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// promise checks what the editors are for.
func promise(t *testing.T, does string, line, got []byte) {
	t.Helper()
	switch {
	case strings.HasPrefix(does, "set"):
		a, _ := entry.Lookup(got, "a")
		id, _ := entry.Lookup(got, "user.id")
		if string(a.Raw) != "1" || string(id.Raw) != `"x"` {
			t.Errorf("%q: set made %q", line, got)
		}
	case strings.HasPrefix(does, "remove"):
		for _, key := range []string{"a", "b", "user.id"} {
			if _, ok := entry.Lookup(got, key); ok {
				t.Errorf("%q: %s is left in %q", line, key, got)
			}
		}
	case strings.HasPrefix(does, "redact"):
		for name, v := range entry.Members(got) {
			key := string(name.Text(nil))
			if key == "c" || key == "b" && string(v.Raw) != `"***"` && v.Kind != entry.Null {
				t.Errorf("%q: %s is left in %q", line, key, got)
			}
		}
	}
}

// FuzzParse holds that a text that is parsed makes fields as encoding/json reads it.
func FuzzParse(f *testing.F) {
	set := mustCompile(f, changes("parse = { m = { as = 'json', into = 'p' } }"))
	for _, text := range []string{`{}`, "{\"a\" : [ 1,\n{} ]}", `{"a":1,"a":"\"x y\""}`, `[1]`, `{"dlog":{}}`} {
		f.Add(text)
	}
	var d rule.Decision
	f.Fuzz(func(t *testing.T, text string) {
		line, err := json.Marshal(map[string]any{"m": text})
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Plan(parse(t, "dlog.in.a.info.-")).Eval(line, &d); err != nil {
			t.Fatal(err)
		}
		var want map[string]any
		_ = json.Unmarshal(line, &want) // the text with what is not UTF-8 replaced
		said := []byte(want["m"].(string))
		if d.Dead >= 0 {
			if json.Unmarshal(said, &want) == nil && d.Fault.Why == "is no JSON object" && bytes.HasPrefix(bytes.TrimSpace(said), []byte("{")) && entry.Valid(said) == nil {
				t.Errorf("%q: %s", said, d.Fault.Error())
			}
			return
		}
		var got struct{ P any }
		if err := json.Unmarshal(d.Copies[0].Line, &got); err != nil {
			t.Fatalf("%q: %v", d.Copies[0].Line, err)
		}
		var parsed any
		if json.Unmarshal(said, &parsed) == nil && quoteAny(parsed) != quoteAny(got.P) {
			t.Errorf("%q\nbecame %s\nwant   %s", said, quoteAny(got.P), quoteAny(parsed))
		}
	})
}

func quoteAny(v any) string {
	b, _ := json.Marshal(v)
	return string(b)
}
