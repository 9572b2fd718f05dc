package rule_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/rule"
)

const testKey = "0123456789abcdef0123456789abcdef"

// changes is a file with one rule that does what is written and sends to s.
func changes(does string) string {
	return "[default]\nto = ['s']\n[redact]\nkey = '" + testKey + "'\n[[stream]]\nname = 's'\n[[rule]]\nname = 'r'\n" + does + "\nto = ['s']\n"
}

// change applies an action to a line and returns the copy, or why it is dead.
func change(t testing.TB, does, line string) string {
	t.Helper()
	set := mustCompile(t, changes(does))
	var d rule.Decision
	if err := set.Plan(parse(t, "dlog.in.pay.info.-")).Eval([]byte(line), &d); err != nil {
		t.Fatal(err)
	}
	if d.Dead >= 0 {
		if len(d.Streams) > 0 {
			t.Errorf("%s: dead and sent", line)
		}
		return d.Fault.Error()
	}
	if err := entry.Valid(d.Copies[0].Line); err != nil {
		t.Errorf("%s\nbecame %s: %v", line, d.Copies[0].Line, err)
	}
	return string(d.Copies[0].Line)
}

func TestSet(t *testing.T) {
	f := func(does, line, want string) {
		t.Helper()
		if got := change(t, "set = "+does, line); got != want {
			t.Errorf("set %s of %s\ngot  %s\nwant %s", does, line, got, want)
		}
	}
	const own = `"dlog":{"svc":"a"}`
	f(`{ a = 1 }`, `{}`, `{"a":1}`)
	f(`{ a = 1 }`, ` { } `, ` {"a":1 } `)
	f(`{ a = 1 }`, `{"b":2 }`, `{"b":2,"a":1 }`)
	f(`{ a = 1 }`, `{"a":"x" , "b":2}`, `{"a":1 , "b":2}`)
	f(`{ a = 1 }`, `{"a":"x","a":null}`, `{"a":1,"a":1}`)
	f(`{ a = 1 }`, `{"b":2,`+own+`}`, `{"b":2,"a":1,`+own+`}`)
	f(`{ a = 1 }`, `{`+own+`}`, `{"a":1,`+own+`}`)
	f(`{ a = 1 }`, `{`+own+`,"b":2}`, `{`+own+`,"b":2,"a":1}`)
	f(`{ a = 1 }`, `{"\u0061":"x"}`, `{"\u0061":1}`)
	f(`{ "a b" = "<&>\n" }`, `{}`, `{"a b":"<&>\n"}`)
	f(`{ a = [1, "x", 2.50, true], b = 2026-11-22T00:00:00Z, c = 1e300 }`, `{}`, `{"a":[1,"x",2.5,true],"b":"2026-11-22T00:00:00Z","c":1e+300}`)
	f(`{ user.id = 7 }`, `{}`, `{"user":{"id":7}}`)
	f(`{ user.id = 7 }`, `{"user":{}}`, `{"user":{"id":7}}`)
	f(`{ user.id = 7 }`, `{"user":{"name":"n"},"b":1}`, `{"user":{"name":"n","id":7},"b":1}`)
	f(`{ user.id = 7 }`, `{"user":{"id":1.0},"b":1}`, `{"user":{"id":7},"b":1}`)
	f(`{ "user.id" = 7 }`, `{"user.id":1}`, `{"user.id":7}`)
	f(`{ user.id = 7 }`, `{"user.id":1,"user":{"id":2}}`, `{"user.id":7,"user":{"id":7}}`)
	f(`{ user.id = 7 }`, `{"user":null}`, `{"user":{"id":7}}`)
	f(`{ user.id = 7 }`, `{"user":{"id":1},"user":{}}`, `{"user":{"id":1},"user":{"id":7}}`)
	f(`{ user = { id = 7, plan.name = "x" } }`, `{}`, `{"user":{"id":7,"plan":{"name":"x"}}}`)
	f(`{ user.dlog = 7 }`, `{"user":{"dlog":1}}`, `{"user":{"dlog":7}}`)
	f(`{ user.id = 7 }`, `{"user":"x"}`, `set user.id: it would lie in something that is no object`)
	f(`{ user.id = 7 }`, `{"user":{"id":1},"user":5}`, `set user.id: it would lie in something that is no object`)
	f(`{ a.b.c.d = true }`, `{"a":{"b":null}}`, `{"a":{"b":{"c":{"d":true}}}}`)
}

func TestRemove(t *testing.T) {
	f := func(does, line, want string) {
		t.Helper()
		if got := change(t, "remove = "+does, line); got != want {
			t.Errorf("remove %s of %s\ngot  %s\nwant %s", does, line, got, want)
		}
	}
	f(`["a"]`, `{"b":1}`, `{"b":1}`)
	f(`["a"]`, `{"a":1}`, `{}`)
	f(`["a"]`, `{ "a" : 1 }`, `{  }`)
	f(`["a"]`, `{"a":1,"b":2}`, `{"b":2}`)
	f(`["a"]`, `{"b":2, "a":1}`, `{"b":2}`)
	f(`["a"]`, `{"b":2,"a":1 , "c":3}`, `{"b":2 , "c":3}`)
	f(`["a"]`, `{"a":1,"a":2,"b":1.50,"a":3}`, `{"b":1.50}`)
	f(`["a", "b"]`, `{"a":1,"b":2,"c":3,"d":4}`, `{"c":3,"d":4}`)
	f(`["a", "b"]`, `{"c":3,"a":1,"b":2}`, `{"c":3}`)
	f(`["b", "a"]`, `{"a":1,"b":2}`, `{}`)
	f(`["a", "c"]`, `{"a":1,"b":2,"c":3}`, `{"b":2}`)
	f(`["user.id"]`, `{"user":{"id":1},"b":2}`, `{"user":{},"b":2}`)
	f(`["user.id", "user.mail"]`, `{"user":{"id":1,"n":2,"mail":3},"user.id":4}`, `{"user":{"n":2}}`)
	f(`["user.id"]`, `{"user":{"id":1},"user":"x"}`, `{"user":{},"user":"x"}`)
	f(`["user.id"]`, `{"user":[{"id":1}]}`, `{"user":[{"id":1}]}`)
	f(`["a"]`, `{"a":{"x":[1,{"y":"}"}]},"b":2}`, `{"b":2}`)
}

func TestRename(t *testing.T) {
	f := func(does, line, want string) {
		t.Helper()
		if got := change(t, "rename = "+does, line); got != want {
			t.Errorf("rename %s of %s\ngot  %s\nwant %s", does, line, got, want)
		}
	}
	f(`{ a = "b" }`, `{"c":1}`, `{"c":1}`)
	f(`{ a = "b" }`, `{"x":0,"a":1.0,"c":2}`, `{"x":0,"b":1.0,"c":2}`)
	f(`{ a = "b" }`, `{"a" : null}`, `{"b":null}`)
	f(`{ a = "b" }`, `{"b":9,"a":1}`, `{"b":1}`)
	f(`{ a = "b" }`, `{"a":1,"b":9,"b":8}`, `{"b":1}`)
	f(`{ a = "b" }`, `{"a":1,"a":2}`, `{"b":1,"b":2}`)
	f(`{ user.id = "uid" }`, `{"user":{"id":1,"n":2},"c":3}`, `{"user":{"n":2},"c":3,"uid":1}`)
	f(`{ uid = "user.id" }`, `{"uid":[1, 2],"user":{"n":2}}`, `{"user":{"n":2,"id":[1, 2]}}`)
	f(`{ user.id = "user.uid" }`, `{"user":{"id":1,"n":2}}`, `{"user":{"uid":1,"n":2}}`)
	f(`{ user.id = "user.uid" }`, `{"user.id":1}`, `{"user.uid":1}`)
	f(`{ a = "b", c = "d" }`, `{"c":1,"a":2}`, `{"d":1,"b":2}`)
	f(`{ a = "b" }`, `{"a":1,"dlog":{"svc":"x"}}`, `{"b":1,"dlog":{"svc":"x"}}`)
	f(`{ a.x = "b" }`, `{"a":{"x":1},"dlog":{"svc":"x"}}`, `{"a":{},"b":1,"dlog":{"svc":"x"}}`)
	f(`{ a = "b.c" }`, `{"a":1,"b":true}`, `rename a: it would lie in something that is no object`)
	f(`{ a = "b.c" }`, `{"a":`+strings.Repeat("[", 127)+strings.Repeat("]", 127)+`}`, `rename a: its value is nested too deep for the new place`)
}

func TestRedact(t *testing.T) {
	f := func(does, line, want string) {
		t.Helper()
		if got := change(t, "redact = "+does, line); got != want {
			t.Errorf("redact %s of %s\ngot  %s\nwant %s", does, line, got, want)
		}
	}
	hash := func(s string) string {
		h := hmac.New(sha256.New, []byte(testKey))
		h.Write([]byte(s))
		return hex.EncodeToString(h.Sum(nil))
	}
	f(`{ card = "last4" }`, `{"card":"4111111111111111"}`, `{"card":"…1111"}`)
	f(`{ card = "last4" }`, `{"card":4111111111111111}`, `{"card":"…1111"}`)
	f(`{ card = "last4" }`, `{"card":"1234567"}`, `{"card":"…"}`)
	f(`{ card = "last4" }`, `{"card":"12345678"}`, `{"card":"…5678"}`)
	f(`{ card = "last4" }`, `{"card":"äöüßäöü\""}`, `{"card":"…äöü\""}`)
	f(`{ card = "last4" }`, `{"card":""}`, `{"card":"…"}`)
	f(`{ card = "last4" }`, `{"card":null}`, `{"card":null}`)
	f(`{ card = "last4" }`, `{"card":true}`, `{"card":"…"}`)
	f(`{ card = "last4" }`, `{"card":{"no":1}}`, `redact card: an object or array can be masked or removed only`)
	f(`{ card = "mask" }`, `{"card":{"no":1},"b":1}`, `{"card":"***","b":1}`)
	f(`{ card = "remove" }`, `{"card":{"no":1},"b":1}`, `{"b":1}`)
	f(`{ mail = "hash" }`, `{"mail":"a@b.c"}`, `{"mail":"`+hash("a@b.c")+`"}`)
	f(`{ mail = "hash" }`, `{"mail":"a\u0040b.c"}`, `{"mail":"`+hash("a@b.c")+`"}`)
	f(`{ id = "hash" }`, `{"id":1.50}`, `{"id":"`+hash("1.50")+`"}`)
	f(`{ id = "hash" }`, `{"id":[1]}`, `redact id: an object or array can be masked or removed only`)
	// Wherever it stands: a value that another one hides is one all the same.
	f(`{ card = "mask" }`, `{"card":"1","c\u0061rd":"2","card":"3"}`, `{"card":"***","c\u0061rd":"***","card":"***"}`)
	f(`{ user.mail = "mask", card = "remove", user.tel = "remove" }`, `{"card":1,"user":{"tel":1,"mail":2},"user.mail":3}`, `{"user":{"mail":"***"},"user.mail":"***"}`)
	f(`{ user.mail = "mask" }`, `{"user":{"mail":1},"user":5}`, `{"user":{"mail":"***"},"user":5}`)
}

func TestParse(t *testing.T) {
	f := func(does, line, want string) {
		t.Helper()
		if got := change(t, "parse = "+does, line); got != want {
			t.Errorf("parse %s of %s\ngot  %s\nwant %s", does, line, got, want)
		}
	}
	f(`{ m = "json" }`, `{"a":1}`, `{"a":1}`)
	f(`{ m = "json" }`, `{"m":null}`, `{"m":null}`)
	f(`{ m = "json" }`, `{"m":"{}"}`, `{"m":"{}"}`)
	f(`{ m = "json" }`, `{"m":"{\"x\":1.50,\"y\":{\"z\":[1]}}","dlog":{"svc":"a"}}`, `{"m":"{\"x\":1.50,\"y\":{\"z\":[1]}}","x":1.50,"y":{"z":[1]},"dlog":{"svc":"a"}}`)
	f(`{ m = "json" }`, `{"x":0,"m":"{\"x\":1,\"x\":2}"}`, `{"m":"{\"x\":1,\"x\":2}","x":2}`)
	f(`{ m = "json" }`, `{"m":"{\"m\":\"in \\\" \\\\n\"}"}`, `{"m":"in \" \\n"}`)
	f(`{ m = "json" }`, `{"m":" {\n\t\"x y\" : [ 1 ,\r\n \"a  b\" ]\n} "}`, `{"m":" {\n\t\"x y\" : [ 1 ,\r\n \"a  b\" ]\n} ","x y":[1,"a  b"]}`)
	// dlog's own key is nobody else's to write.
	f(`{ m = "json" }`, `{"m":"{\"dlog\":{\"svc\":\"forged\"},\"d\\u006cog\":1,\"x\":1}","dlog":{"svc":"a"}}`,
		`{"m":"{\"dlog\":{\"svc\":\"forged\"},\"d\\u006cog\":1,\"x\":1}","x":1,"dlog":{"svc":"a"}}`)
	f(`{ m = "json" }`, `{"m":"{\"dlog\":1}"}`, `{"m":"{\"dlog\":1}"}`)
	f(`{ m = { as = "json", into = "p.q" } }`, `{"m":"{\"dlog\":1}","p":{"q":5}}`, `{"m":"{\"dlog\":1}","p":{"q":{"dlog":1}}}`)
	f(`{ m = { as = "json", into = "m" } }`, `{"m":"{\"a\":1}"}`, `{"m":{"a":1}}`)
	f(`{ m = { as = "json", into = "p" } }`, `{"m":"{\"a\":`+strings.Repeat("[", 127)+strings.Repeat("]", 127)+`}"}`, `parse m: is nested too deep for the new place`)
	f(`{ m = "json" }`, `{"m":"[1]"}`, `parse m: is no JSON object`)
	f(`{ m = "json" }`, `{"m":"{"}`, `parse m: is no JSON object`)
	f(`{ m = "json" }`, `{"m":5}`, `parse m: is no text`)
	f(`{ m = "json" }`, `{"m":{"a":1}}`, `parse m: is no text`)
	f(`{ x.m = "json" }`, `{"x":{"m":"{\"a\":1}"}}`, `{"x":{"m":"{\"a\":1}"},"a":1}`)

	f(`{ m = "logfmt" }`, `{"m":"a=1 b=x  c=\"y z\\n\\u0041\" d e=  f=true g=-1.5e3 h=007 i=12345678901234567890"}`,
		`{"m":"a=1 b=x  c=\"y z\\n\\u0041\" d e=  f=true g=-1.5e3 h=007 i=12345678901234567890","a":1,"b":"x","c":"y z\n\u0041","d":true,"e":"","f":true,"g":-1.5e3,"h":"007","i":"12345678901234567890"}`)
	f(`{ m = "logfmt" }`, `{"m":"just words"}`, `parse m: is no logfmt: there is no =`)
	f(`{ m = "logfmt" }`, `{"m":"=1"}`, `parse m: is no logfmt: a key is missing or holds a quote`)
	f(`{ m = "logfmt" }`, `{"m":"a\"b=1"}`, `parse m: is no logfmt: a key is missing or holds a quote`)
	f(`{ m = "logfmt" }`, `{"m":"a=\"b"}`, `parse m: is no logfmt: bad quotes`)
	f(`{ m = "logfmt" }`, `{"m":"a=\"b\\"}`, `parse m: is no logfmt: bad quotes`)
	f(`{ m = "logfmt" }`, `{"m":"a=\"b\\x\""}`, `parse m: is no logfmt: bad quotes`)
	f(`{ m = "logfmt" }`, `{"m":"a=\"b\"c"}`, `parse m: is no logfmt: bad quotes`)
	f(`{ m = "logfmt" }`, `{"m":"a=b\"c"}`, `parse m: is no logfmt: bad quotes`)
	f(`{ m = "logfmt" }`, `{"m":"dlog=1 a.b=2"}`, `{"m":"dlog=1 a.b=2","a.b":2}`)
	f(`{ m = "logfmt" }`, `{"m":"`+strings.Repeat("a", 3)+`=`+strings.Repeat("x", 300)+`"}`, `{"m":"aaa=`+strings.Repeat("x", 300)+`","aaa":"`+strings.Repeat("x", 300)+`"}`)

	f(`{ m = '~^(?P<method>[A-Z]+) (?P<url>\S+)( in (?P<ms>\d+)ms)?' }`, `{"m":"GET /x in 12ms"}`, `{"m":"GET /x in 12ms","method":"GET","url":"/x","ms":12}`)
	f(`{ m = '~^(?P<method>[A-Z]+) (?P<url>\S+)( in (?P<ms>\d+)ms)?' }`, `{"m":"GET /x"}`, `{"m":"GET /x","method":"GET","url":"/x"}`)
	f(`{ m = '~^(?P<method>[A-Z]+) ' }`, `{"m":"nothing"}`, `parse m: does not match the regexp`)

	var many []string
	for i := range 257 {
		many = append(many, `\"k`+string(rune('a'+i%26))+string(rune('a'+i/26))+`\":1`)
	}
	f(`{ m = "json" }`, `{"m":"{`+strings.Join(many, ",")+`}"}`, `parse m: holds more than 256 fields`)
}

// Actions come in one order, whatever the order in the file.
func TestOrderOfActions(t *testing.T) {
	got := change(t, "redact = { card = 'last4' }\nremove = ['m']\nset = { a = 1 }\nrename = { no = 'card' }\nparse = { m = 'json' }",
		`{"m":"{\"no\":\"4111111111111111\",\"a\":0}"}`)
	if want := `{"card":"…1111","a":1}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Lines that grow beyond the limit are cut, and say so.
func TestChangedLinesKeepTheLimit(t *testing.T) {
	got := change(t, "parse = { m = { as = 'json', into = 'p' } }", `{"m":`+quote(`{"x":"`+strings.Repeat("x", 200<<10)+`"}`)+`}`)
	if len(got) > entry.MaxLine || !strings.Contains(got, `"cut":"from `) {
		t.Errorf("%d bytes", len(got))
	}
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// Later rules see what earlier ones changed, copies made earlier do not.
func TestCopiesStayAsTheyWere(t *testing.T) {
	set := mustCompile(t, `
[default]
to = ["rest"]
[[stream]]
name = "rest"
[[stream]]
name = "audit"
[[stream]]
name = "pager"
[[rule]]
name = "audit"
match = { audit = true }
to = ["audit"]
[[rule]]
name = "no-secrets"
match = { card = "*" }
redact = { card = "mask" }
[[rule]]
name = "masked"
match = { card = "***" }
set = { level = "error", seen = true }
[[rule]]
name = "page"
match = { level = "error", seen = true }
to = ["pager"]
[[rule]]
name = "undo"
match = { seen = true }
remove = ["seen", "level"]
to = ["rest"]
[[rule]]
name = "by-value"
match = { customer = "c1" }
to = ["rest"]
`)
	f := func(subj, line string, want ...string) {
		t.Helper()
		var d rule.Decision
		p := set.Plan(parse(t, subj))
		if _, whole := p.Whole(); whole {
			t.Errorf("%s is decided whole", subj)
		}
		for range 2 {
			if err := p.Eval([]byte(line), &d); err != nil {
				t.Fatal(err)
			}
			var got []string
			for n, i := range d.Streams {
				got = append(got, set.Streams[i].Name+" "+d.Copies[n].Level+" "+string(d.Copies[n].Line))
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	f("dlog.in.pay.info.-", `{"level":"info","card":1,"audit":true}`,
		`audit  {"level":"info","card":1,"audit":true}`,
		`pager error {"level":"error","card":"***","audit":true,"seen":true}`,
		`rest none {"card":"***","audit":true}`)
	// The copy follows the level; the entries that frame tasks keep their token.
	f("dlog.in.pay.task.-", `{"level":"info","card":1,"dlog":{"event":"end"}}`,
		`pager  {"level":"error","card":"***","seen":true,"dlog":{"event":"end"}}`,
		`rest  {"card":"***","dlog":{"event":"end"}}`)
	f("dlog.in.pay.error.-", `{"level":"error","card":1}`,
		`pager  {"level":"error","card":"***","seen":true}`,
		`rest none {"card":"***"}`)
	f("dlog.in.pay.error.-", `{"level":"error","n":1}`, `rest  {"level":"error","n":1}`)
}

// What the index found by the old values is found again by the new ones.
func TestIndexSeesChanges(t *testing.T) {
	var b strings.Builder
	b.WriteString("[default]\nto = ['s0']\n[[stream]]\nname = 's0'\n[[stream]]\nname = 's1'\n[[rule]]\nname = 'first'\nmatch = { customer = 'old' }\nset = { customer = 'c69' }\n")
	for i := range 70 {
		fmt.Fprintf(&b, "[[rule]]\nname = 'r%d'\nmatch = { customer = 'c%d' }\nto = ['s1']\n", i, i)
	}
	b.WriteString("[[rule]]\nname = 'last'\nmatch = { customer = 'old' }\nto = ['s0']\n")
	set := mustCompile(t, b.String())
	var d rule.Decision
	if err := set.Plan(parse(t, "dlog.in.a.info.-")).Eval([]byte(`{"customer":"old"}`), &d); err != nil {
		t.Fatal(err)
	}
	if got := say(set, &d); got != "s1 | first r69" {
		t.Errorf("got %q", got)
	}
}
