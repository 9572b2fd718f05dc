package cond_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

const shopLine = `{"level":"info","sku":"A-17","n":3,"big":9007199254740993,"ok":true,"no":false,"nil":null,"empty":"",` +
	`"ms":1500.5,"code":"a,b","op":">5","star":"*","num":"500","esc":"a\"b\u00e9","user":{"id":"u1","tags":["x"]},"flat.key":"f",` +
	`"severity":"warning","when":"2026-11-22T17:02:11.5+01:00","unix":1795363331,"message":"GET /healthz 200",` +
	`"dlog":{"svc":"lies","trace":"0193","path":"place-order/charge 1234567/x","pos":"2.4","event":"end"}}`

// subjects of the table; "" is an entry of a file.
const (
	inInfo  = "dlog.in.checkout.info.place-order.charge"
	inNone  = "dlog.in.checkout.none.-"
	inTask  = "dlog.in.checkout.task.place-order.charge"
	inLossy = "dlog.in.checkout.error.place-order.charge=20=.x"
	inOdd   = "dlog.in.pay=20ments.warn.-"
	inNoSvc = "dlog.in.-.warn.-"
	noSubj  = ""
)

// grammar is the one table for both ways to write a condition. An empty way
// means that it cannot be said there in one condition.
var grammar = []struct {
	toml, where string
	subject     string
	want        bool
}{
	// equal
	{`sku = "A-17"`, `sku=A-17`, inInfo, true},
	{`sku = "A-1"`, `sku=A-1`, inInfo, false},
	{`sku = "a-17"`, `sku=a-17`, inInfo, false},
	{`sku = ["B", "A-17"]`, `sku=B,A-17`, inInfo, true},
	{`sku = ["B", "C"]`, `sku=B,C`, inInfo, false},
	{`code = "a,b"`, `code="a,b"`, inInfo, true},
	{`code = ["x", "a,b"]`, `code=x,"a,b"`, inInfo, true},
	{`op = { eq = ">5" }`, `op=">5"`, inInfo, true},
	{`op = { eq = ["~", ">5"] }`, `op="~",">5"`, inInfo, true},
	{`star = { eq = "*" }`, `star="*"`, inInfo, true},
	{`sku = { eq = "*" }`, `sku="*"`, inInfo, false},
	{`empty = { eq = "" }`, `empty=""`, inInfo, true},
	{`sku = { eq = "" }`, `sku=""`, inInfo, false},
	{`missing = { eq = "" }`, `missing=""`, inInfo, false},
	{`esc = 'a"bé'`, `esc=a"bé`, inInfo, true},
	{`"user.id" = "u1"`, `user.id=u1`, inInfo, true},
	{`user.id = "u1"`, `user.id=u1`, inInfo, true},
	{`user = { id = "u1" }`, `user.id=u1`, inInfo, true},
	{`"flat.key" = "f"`, `flat.key=f`, inInfo, true},
	{`dlog.event = "end"`, `dlog.event=end`, inTask, true},
	// numbers and booleans by value; a text says them too
	{`n = 3`, `n=3`, inInfo, true},
	{`n = 3.0`, `n=3.0`, inInfo, true},
	{`n = "3"`, `n=3`, inInfo, true},
	{`n = 4`, `n=4`, inInfo, false},
	{`n = [1, 3]`, `n=1,3`, inInfo, true},
	{`big = 9007199254740993`, `big=9007199254740993`, inInfo, true},
	{`big = 9007199254740992`, `big=9007199254740992`, inInfo, false},
	{`num = "500"`, `num=500`, inInfo, true},
	{`num = 500`, ``, inInfo, false},
	{`ms = 1500.5`, `ms=1.5005e3`, inInfo, true},
	{`ok = true`, `ok=true`, inInfo, true},
	{`ok = false`, `ok=false`, inInfo, false},
	{`no = false`, `no=false`, inInfo, true},
	{`ok = "true"`, `ok=true`, inInfo, true},
	{`sku = true`, ``, inInfo, false},
	{`nil = "null"`, `nil=null`, inInfo, false},
	// there or not
	{`sku = "*"`, `sku=*`, inInfo, true},
	{`missing = "*"`, `missing=*`, inInfo, false},
	{`missing = ""`, `missing=`, inInfo, true},
	{`sku = ""`, `sku=`, inInfo, false},
	{`empty = "*"`, `empty=*`, inInfo, true},
	{`nil = ""`, `nil=`, inInfo, true},
	{`nil = "*"`, `nil=*`, inInfo, false},
	{`user = "*"`, `user=*`, inInfo, true},
	{`missing = ["", "x"]`, ``, inInfo, true},
	// not equal: exactly the opposite
	{`sku = { ne = "A-17" }`, `sku!=A-17`, inInfo, false},
	{`sku = { ne = "B" }`, `sku!=B`, inInfo, true},
	{`sku = { ne = ["B", "A-17"] }`, `sku!=B,A-17`, inInfo, false},
	{`missing = { ne = "x" }`, `missing!=x`, inInfo, true},
	{`n = { ne = 3 }`, `n!=3`, inInfo, false},
	{`sku = "*"`, `sku!=`, inInfo, true},
	{`missing = ""`, `missing!=*`, inInfo, true},
	{`op = { ne = ">5" }`, `op!=">5"`, inInfo, false},
	{`sku = [{ ne = "A-17" }, "A-17"]`, ``, inInfo, true},
	// ordered
	{`n = ">2"`, `n>2`, inInfo, true},
	{`n = ">=3"`, `n>=3`, inInfo, true},
	{`n = "<3"`, `n<3`, inInfo, false},
	{`n = "<= 3"`, `n<= 3`, inInfo, true},
	{`n = ">-1"`, `n>-1`, inInfo, true},
	{`n = ["<1", ">2"]`, ``, inInfo, true},
	{`ms = ">1.5s"`, `ms>1.5s`, inInfo, true},
	{`ms = "<2s"`, `ms<2s`, inInfo, true},
	{`ms = ">1m"`, `ms>1m`, inInfo, false},
	{`num = ">400"`, `num>400`, inInfo, false},
	{`missing = "<5"`, `missing<5`, inInfo, false},
	{`nil = "<5"`, `nil<5`, inInfo, false},
	{`when = ">=2026-11-22T16:02:11Z"`, `when>=2026-11-22T16:02:11Z`, inInfo, true},
	{`when = "<2026-11-22T16:02:11.5Z"`, `when<2026-11-22T16:02:11.5Z`, inInfo, false},
	{`when = "<=2026-11-22T17:02:11.5+01:00"`, `when<=2026-11-22T17:02:11.5+01:00`, inInfo, true},
	{`unix = ">2026-11-22T00:00:00Z"`, `unix>2026-11-22T00:00:00Z`, inInfo, true},
	{`sku = ">2026-11-22T00:00:00Z"`, `sku>2026-11-22T00:00:00Z`, inInfo, false},
	{`severity = ">=warn"`, `severity>=warn`, inInfo, true},
	{`severity = ">error"`, `severity>error`, inInfo, false},
	// regexps
	{`message = "~^GET /healthz"`, `message~^GET /healthz`, inInfo, true},
	{`message = "~healthz"`, `message~healthz`, inInfo, true},
	{`message = "~200$"`, `message~200$`, inInfo, true},
	{`message = "~^GET$"`, `message~^GET$`, inInfo, false},
	{`message = "~^GET /healthz 200$"`, `message~^GET /healthz 200$`, inInfo, true},
	{`message = "~(?i)^get"`, `message~(?i)^get`, inInfo, true},
	{`message = "~^(GET|HEAD) "`, `message~^(GET|HEAD) `, inInfo, true},
	{`message = ["~^PUT", "~^GET"]`, ``, inInfo, true},
	{`message = "~"`, `message~`, inInfo, true},
	{`esc = '~b.$'`, `esc~b.$`, inInfo, true},
	{`n = "~^3$"`, `n~^3$`, inInfo, true},
	{`user = '~"x"'`, `user~"x"`, inInfo, true},
	{`missing = "~"`, `missing~`, inInfo, false},
	{`nil = "~null"`, `nil~null`, inInfo, false},
	// service
	{`service = "checkout"`, `service=checkout`, inInfo, true},
	{`service = "lies"`, `service=lies`, inInfo, false},
	{`service = "lies"`, `service=lies`, noSubj, true},
	{`service = ["a", "checkout"]`, `service=a,checkout`, inInfo, true},
	{`service = { ne = "checkout" }`, `service!=checkout`, inInfo, false},
	{`service = "~^check"`, `service~^check`, inInfo, true},
	{`service = "*"`, `service=*`, inInfo, true},
	{`service = ""`, `service=`, inNoSvc, true},
	{`service = "pay ments"`, `service=pay ments`, inOdd, true},
	{`service = "~ments$"`, `service~ments$`, inOdd, true},
	// level: of the subject, for the entries of tasks of the JSON
	{`level = "info"`, `level=info`, inInfo, true},
	{`level = ">=warn"`, `level>=warn`, inInfo, false},
	{`level = "<=info"`, `level<=info`, inInfo, true},
	{`level = ["error", "info"]`, `level=error,info`, inInfo, true},
	{`level = [">=error", "info"]`, ``, inInfo, true},
	{`level = "~^in"`, `level~^in`, inInfo, true},
	{`level = "*"`, `level=*`, inInfo, true},
	{`level = "error"`, `level=error`, inLossy, true},
	{`level = ">=trace"`, `level>=trace`, inNone, false},
	{`level = "<=panic"`, `level<=panic`, inNone, false},
	{`level = "none"`, `level=none`, inNone, true},
	{`level = ""`, `level=`, inNone, true},
	{`level = "*"`, `level=*`, inNone, false},
	{`level = { ne = "warn" }`, `level!=warn`, inNone, true},
	{`level = "WARNING"`, `level=WARNING`, inOdd, true},
	{`level = "info"`, `level=info`, inTask, true},
	{`level = ">=warn"`, `level>=warn`, inTask, false},
	{`level = "info"`, `level=info`, noSubj, true},
	// path: patterns; of dlog.path where the subject is cut or folded
	{`path = "place-order/**"`, `path=place-order/**`, inInfo, true},
	{`path = "place-order/charge"`, `path=place-order/charge`, inInfo, true},
	{`path = "place-order"`, `path=place-order`, inInfo, false},
	{`path = "*/charge"`, `path=*/charge`, inInfo, true},
	{`path = ["a/**", "*/charge"]`, `path=a/**,*/charge`, inInfo, true},
	{`path = "*"`, `path=*`, inInfo, true},
	{`path = "*"`, `path=*`, inNone, false},
	{`path = ""`, `path=`, inNone, true},
	{`path = "~^place-order/ch"`, `path~^place-order/ch`, inInfo, true},
	{`path = { eq = "place-order/charge" }`, `path="place-order/charge"`, inInfo, true},
	{`path = { ne = "place-order/charge" }`, `path!="place-order/charge"`, inInfo, false},
	{`path = "place-order/charge 1234567/x"`, `path=place-order/charge 1234567/x`, inLossy, true},
	{`path = "place-order/charge 7654321/x"`, `path=place-order/charge 7654321/x`, inLossy, false},
	{`path = "place-order/**"`, `path=place-order/**`, inLossy, true},
	{`path = "~1234567"`, `path~1234567`, inLossy, true},
	{`path = "place-order/**"`, `path=place-order/**`, noSubj, true},
	{`path = "*"`, `path=*`, noSubj, true},
	// several
	{`any = [{ sku = "B" }, { n = 3, ok = true }]`, ``, inInfo, true},
	{`any = [{ sku = "B" }, { n = 3, ok = false }]`, ``, inInfo, false},
	{`any = [{ service = "x" }, { any = [{ n = 3 }, { n = 4 }] }]`, ``, inInfo, true},
	{`sku = "A-17", n = ">2", service = "checkout"`, ``, inInfo, true},
	{`sku = "A-17", n = ">2", service = "other"`, ``, inInfo, false},
	{``, ``, inInfo, true},
}

func parseTOML(t testing.TB, fields string) (cond.Cond, error) {
	t.Helper()
	top, err := config.Parse("r.toml", []byte("match = { "+fields+" }"))
	if err != nil {
		t.Fatalf("%s: %v", fields, err)
	}
	item, _ := top.Get("match")
	return cond.Parse(item.Value.(config.Table), config.Table{})
}

func parseSubject(t testing.TB, s string) subject.Subject {
	sub, err := subjectOrZero(s)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

func subjectOrZero(s string) (subject.Subject, error) {
	if s == noSubj {
		return subject.Subject{}, nil
	}
	return subject.Parse(s)
}

// bound asks a condition about one entry: whole, and by way of what its subject
// leaves open.
func bound(t testing.TB, c cond.Cond, s subject.Subject, line string) bool {
	t.Helper()
	whole := ask(c, s, line)
	v, rest := c.Resolve(s)
	parts := v == cond.Yes || v == cond.Maybe && ask(rest, s, line)
	if whole != parts {
		t.Errorf("%v: asked whole %v, by subject and the rest %v", c, whole, parts)
	}
	var r cond.Record
	r.Load(nil, s, nil)
	if says := c.AppendVerdicts(nil, &r); (len(says) > 0) != c.AsksSubject() {
		t.Errorf("%v: verdicts %q, but asks the subject: %v", c, says, c.AsksSubject())
	}
	return whole
}

func ask(c cond.Cond, s subject.Subject, line string) bool {
	var b cond.Binder
	m := b.Bind(c)
	var r cond.Record
	r.Load(b.Layout(), s, []byte(line))
	got := m.Match(&r)
	if why := m.Why(&r); (why == "") != got {
		panic(fmt.Sprintf("%v matches: %v, but why not: %q", c, got, why))
	}
	return got
}

func TestGrammar(t *testing.T) {
	for _, g := range grammar {
		s := parseSubject(t, g.subject)
		c, err := parseTOML(t, g.toml)
		if err != nil {
			t.Errorf("%s: %v", g.toml, err)
			continue
		}
		if got := bound(t, c, s, shopLine); got != g.want {
			t.Errorf("match = { %s } under %q is %v, want %v", g.toml, g.subject, got, g.want)
		}
		if g.where == "" {
			continue
		}
		w, err := cond.ParseWhere([]string{g.where})
		if err != nil {
			t.Errorf("--where %s: %v", g.where, err)
			continue
		}
		if got := w.Match(s, []byte(shopLine)); got != g.want {
			t.Errorf("--where '%s' under %q is %v, want %v", g.where, g.subject, got, g.want)
		}
		if got := bound(t, w.Cond(), s, shopLine); got != g.want {
			t.Errorf("--where '%s' under %q is %v bound, want %v", g.where, g.subject, got, g.want)
		}
	}
}

// An array in a line is no reason to fail, nor is a line that is no object.
func TestOddLines(t *testing.T) {
	f := func(where, line string, want bool) {
		t.Helper()
		w, err := cond.ParseWhere([]string{where})
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Match(parseSubject(t, inInfo), []byte(line)); got != want {
			t.Errorf("%s on %s is %v", where, line, got)
		}
	}
	f("a=1", `{"a":[1]}`, false)
	f("a~1", `{"a":[1]}`, true)
	f("a=1", `{"a":1,"a":2}`, false)
	f("a=*", `{"a":{}}`, true)
	f("a=*", `nonsense`, false)
	f("a!=1", `nonsense`, true)
	f("service=checkout", `nonsense`, true)
	f("a>1", `{"a":1e999}`, false)
	f("a=1e999", `{"a":1e999}`, false)
	f("a=\xff", "{\"a\":\"\xff\"}", false)
	f("a=\ufffd", "{\"a\":\"\xff\"}", true)
	f("a~^"+strings.Repeat("x", 300)+"$", `{"a":"`+strings.Repeat(`\u0078`, 300)+`"}`, true)
}

func TestParseFaults(t *testing.T) {
	f := func(fields, want string) {
		t.Helper()
		_, err := parseTOML(t, fields)
		if got := fmt.Sprint(err); !strings.Contains(got, "r.toml:1: match."+want) {
			t.Errorf("%s\ngot  %v\nwant %s", fields, err, want)
		}
	}
	f(`level = "wran"`, `level: "wran" is not a level; did you mean "warn"?`)
	f(`level = ">=loud"`, `level: "loud" is not a level; they are trace, debug, info, warn, error, fatal, panic, none`)
	f(`level = "task"`, `level: task is not a level`)
	f(`level = "<none"`, `level: none stands for no level`)
	f(`level = 3`, `level: level is a text: expected one in quotes, found the number 3`)
	f(`message = "~["`, "message: bad regexp: error parsing regexp: missing closing ]: `[`")
	f(`service = "~("`, `service: bad regexp`)
	f(`service = ">a"`, `service: service is a text and has no order`)
	f(`path = "a/**/b"`, `path: parse path pattern "a/**/b"`)
	f(`path = "a//b"`, `path: parse path pattern "a//b"`)
	f(`n = ">lots"`, `n: "lots" is neither a level, a number, a duration nor an RFC 3339 time; the text itself is { eq = ">lots" }`)
	f(`n = []`, `n: an empty list matches nothing`)
	f(`n = {}`, `n: an empty table says nothing`)
	f(`n = nan`, `n: no entry holds such a number`)
	f(`n = [[1]]`, `n: a list within a list`)
	f(`n = 2026-11-22T00:00:00Z`, `n: write a time with an operator and in quotes, like ">=2026-11-22T00:00:00Z"`)
	f(`any = "x"`, `any: expected alternatives like`)
	f(`any = []`, `any: expected alternatives like`)
	f(`any = [{}]`, `any: an empty alternative would match every entry`)
	f(`any = [1]`, `any: each alternative is a table`)
	f(`not = { a = 1 }`, `not: stands beside match`)
	f(`user.id = ">x"`, `user.id: "x" is neither`)

	_, err := parseTOML(t, `level = "x1", message = "~(", n = [">a", ">b"], any = [{ level = "x2" }]`)
	if n := len(config.Faults(err)); n != 5 {
		t.Errorf("%d faults at once, want 5:\n%v", n, err)
	}
	_, err = cond.Parse(config.Table{}, config.Table{Pos: config.Pos{Line: 3}, Path: "rule.not"})
	if err == nil || !strings.Contains(err.Error(), "line 3: rule.not: is empty") {
		t.Errorf("empty not: %v", err)
	}
}

func TestParseWhereFaults(t *testing.T) {
	f := func(arg, want string) {
		t.Helper()
		_, err := cond.ParseWhere([]string{"ok=1", arg})
		got := fmt.Sprint(err)
		if !strings.Contains(got, want) || strings.Contains(got, "\n") || !strings.HasPrefix(got, "condition ") {
			t.Errorf("%s\ngot  %v\nwant one line with %s", arg, err, want)
		}
	}
	f(`level`, `no operator; write it like service=payments, level>=warn`)
	f(``, `no operator`)
	f(`=x`, `the field is missing`)
	f(`level>=wran`, `did you mean "warn"?`)
	f(`a!b`, `! needs a =`)
	f(`a!~b`, `! needs a =`)
	f(`level=>=warn`, `two operators; write level>=warn, or level=">=warn" for the text itself`)
	f(`a==b`, `two operators; write a=b, or`)
	f(`a=b,,c`, `a value between commas is empty`)
	f(`a="b`, `the quotes are not closed`)
	f(`a="b"c`, `follows the closing quote`)
	f(`a>b`, `is neither a level, a number`)
	f(`a~(`, `bad regexp`)
	f(`path=a/**/b`, `path pattern`)
	if _, err := cond.ParseWhere([]string{"a", "b"}); len(config.Faults(err)) != 2 {
		t.Errorf("not all faults at once: %v", err)
	}
}
