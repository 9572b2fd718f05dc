package rule_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/rule"
)

func compile(text string) (*rule.Set, error) {
	var f rule.File
	if err := config.Decode("r.toml", []byte(text), &f); err != nil {
		return nil, err
	}
	return rule.Compile(f)
}

func mustCompile(t testing.TB, text string) *rule.Set {
	t.Helper()
	set, err := compile(text)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Everything that is wrong is said at once, in the order of the file.
func TestCompileFaults(t *testing.T) {
	text := `namespace = "Dlog"
nmespace = "x"
include = ["rules.d/*.toml"]

[default]
to = ["rest",
  "nowhere"]

[[stream]]
name = "rest"

[[stream]]
name = "In"
max_age = "long"

[[stream]]
name = "rest"

[[stream]]
max_bytes = "1GiB"

[[rule]]
match = { a = 1 }
to = ["rest"]

[[rule]]
name = "twice"
match = { level = ">=wran", message = "~(", path = "a/**/b", n = ">1GiB" }
to = ["res", "team-{service}"]

[[rule]]
name = "twice"
nmae = "x"
drop = true
throttle = { rate = "1/s" }

[[rule]]
name = "both"
match = { a = 1 }
to = ["rest"]
drop = true
task_entries = "all"

[[rule]]
name = "idle"
last = "yes"
not = {}

[[rule]]
name = "typed"
drop = "yes"
to = "rest"
keep_task = {}

[[test]]
in = { service = 5, level = "loud" }
expect = { to = ["rset"], dropped_by = "twise", rules = ["both", "none"] }

[[test]]
name = "empty"
expect = { go = "x" }
`
	want := `r.toml:1: namespace: must be a-z, then up to 31 of a-z 0-9 -
r.toml:2: nmespace: unknown key; did you mean "namespace"?
r.toml:3: include: is not supported by this version of dlog
r.toml:7: default.to: there is no stream "nowhere"
r.toml:13: stream.name: stream "In": must be a-z, then up to 31 of a-z 0-9 -
r.toml:14: stream.max_age: "long" is not a duration; write one like "7d", "1h30m" or "250ms"
r.toml:17: stream.name: there are two streams "rest"
r.toml:19: stream.name: a stream needs a name
r.toml:22: rule.name: a rule needs a name: counters, explain and tests speak of it
r.toml:28: rule.match.level: "wran" is not a level; did you mean "warn"?
r.toml:28: rule.match.message: bad regexp: error parsing regexp: missing closing ): ` + "`(`" + `
r.toml:28: rule.match.path: parse path pattern "a/**/b": "**" stands for the task itself and all below: it must be last
r.toml:28: rule.match.n: "1GiB" is neither a level, a number, a duration nor an RFC 3339 time; the text itself is { eq = ">1GiB" }
r.toml:29: rule.to: there is no stream "res"; did you mean "rest"?
r.toml:29: rule.to: templates like "team-{service}" are not supported by this version of dlog
r.toml:31: rule: would apply to every entry; write match = {} if that is meant
r.toml:32: rule.name: there are two rules "twice"; the other is in line 26
r.toml:33: rule.nmae: unknown key; did you mean "name"?
r.toml:35: rule.throttle: is not supported by this version of dlog
r.toml:37: rule: to and drop exclude each other; to send copies and go no further write last = true
r.toml:42: rule.task_entries: "all" is neither "keep" nor "filter"
r.toml:44: rule: the rule does nothing; write to, drop, redact or another action, or last
r.toml:46: rule.last: expected true or false, found the text "yes"
r.toml:47: rule.not: is empty, so nothing would ever match; write a condition or leave it out
r.toml:51: rule.drop: expected true or false, found the text "yes"
r.toml:52: rule.to: expected a list of streams like ["payments"], found the text "rest"
r.toml:53: rule.keep_task: is not supported by this version of dlog
r.toml:55: test.name: a test needs a name
r.toml:56: test.in.service: expected a text in quotes, found the number 5
r.toml:57: test.expect.to: there is no stream "rset"; did you mean "rest"?
r.toml:57: test.expect.rules: there is no rule "none"
r.toml:57: test.expect.dropped_by: there is no rule "twise"; did you mean "twice"?
r.toml:59: test.in: is missing; write the entry, like in = { service = "gateway", level = "info", message = "hi" }
r.toml:61: test.expect.go: unknown key; did you mean "to"?`
	_, err := compile(text)
	got, wanted := strings.Split(fmt.Sprint(err), "\n"), strings.Split(want, "\n")
	for i := range max(len(got), len(wanted)) {
		g, w := "(nothing)", "(nothing)"
		if i < len(got) {
			g = got[i]
		}
		if i < len(wanted) {
			w = wanted[i]
		}
		if g != w {
			t.Errorf("got  %s\nwant %s", g, w)
		}
	}
}

func TestCompileFewFaults(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		if _, err := compile(text); fmt.Sprint(err) != want {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
	f(``, `r.toml: default: is missing; write [default] with to = ["STREAM"] for what no rule sends anywhere`)
	f("[default]\nto = []", `r.toml:2: default.to: names no stream; to drop what no rule sent, end the file with a rule that drops`)
	f("[default]", `r.toml:1: default.to: names no stream; to drop what no rule sent, end the file with a rule that drops`)
	f("[default]\nto = ['x']", `r.toml:2: default.to: there is no stream "x"; the file defines no stream`)
	f("[default]\nto = ['x']\n[[stream]]\nname = 'x'\n[[rule]]\nname = 'r'\nto = []", `r.toml:7: rule.to: names no stream; leave it out for a rule that sends nowhere`)
	f("[default]\nto = ['x']\n[[stream]]\nname = 'x'\n[[rule]]\nname = 7\nto = ['x']", `r.toml:6: rule.name: expected a text in quotes, found the number 7`)
	f("[default]\nto = ['x']\n[[stream]]\nname = 'in'", "r.toml:2: default.to: there is no stream \"x\"\nr.toml:4: stream.name: stream \"in\": the name is taken")
	f("[default]\nto = ['x']\n[stream]\nname = 'x'", "r.toml:2: default.to: there is no stream \"x\"; the file defines no stream\nr.toml:3: stream: expected an array of tables, headed [[stream]], found a table")
}

// A File made in code needs no text.
func TestCompileInCode(t *testing.T) {
	set, err := rule.Compile(rule.File{Streams: []rule.StreamConfig{{Name: "all"}}, Default: &rule.Default{To: []string{"all"}}})
	if err != nil || set.Namespace != "dlog" {
		t.Fatalf("%v, %v", set, err)
	}
	_, err = rule.Compile(rule.File{Streams: []rule.StreamConfig{{}}, Default: &rule.Default{To: []string{"all"}}})
	if got, want := fmt.Sprint(err), "stream.name: a stream needs a name\ndefault.to: there is no stream \"all\"; the file defines no stream"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHash(t *testing.T) {
	base := "[default]\nto = ['a']\n[[stream]]\nname = 'a'\n[[stream]]\nname = 'b'\n"
	rules := "[[rule]]\nname = 'r'\nmatch = { x = 1, y = ['p', 'q'] }\nto = ['b']\n[[rule]]\nname = 's'\nmatch = { z = 1 }\ndrop = true\n"
	first := mustCompile(t, base+rules).Hash()
	same := func(text string) {
		t.Helper()
		if got := mustCompile(t, text).Hash(); got != first {
			t.Errorf("%s\nhas another hash", text)
		}
	}
	differs := func(old, now string) {
		t.Helper()
		text := strings.Replace(base+rules, old, now, 1)
		if got := mustCompile(t, text).Hash(); got == first {
			t.Errorf("%s\nhas the same hash", text)
		}
	}
	if len(first) != 16 {
		t.Errorf("hash %q", first)
	}
	same("# comment\n" + strings.ReplaceAll(base+rules, "'", `"`))
	same(strings.Replace(base, "[[stream]]\nname = 'a'\n", "", 1) + "[[stream]]\nname = 'a'\nmax_age = '1d'\n" + rules)
	same(base + strings.Replace(rules, "{ x = 1, y = ['p', 'q'] }", "{ y = ['q', 'p'], x = 1.0 }", 1))
	same(base + rules + "[[test]]\nname = 't'\nin = { x = 1 }\nexpect = { rules = [] }")
	differs("x = 1", "x = 2")
	differs("x = 1", "x = '1'")
	differs("'r'", "'r2'")
	differs("['b']", "['a']")
	differs("to = ['a']", "to = ['b']")
	differs("to = ['b']", "to = ['b']\nset = { a = 1 }")
	differs("drop = true", "redact = { a = 'mask' }")
	differs("drop = true", "last = true")
	differs("to = ['b']", "to = ['b']\nlast = true")
}

// Copies that differ have other ids: the key of hashes is part of what is decided.
func TestHashKnowsTheKey(t *testing.T) {
	text := changes("redact = { mail = 'hash' }")
	if a, b := mustCompile(t, text).Hash(), mustCompile(t, strings.Replace(text, testKey, testKey+"x", 1)).Hash(); a == b {
		t.Error("another key, the same hash")
	}
	text = changes("redact = { mail = 'mask' }")
	if a, b := mustCompile(t, text).Hash(), mustCompile(t, strings.Replace(text, testKey, testKey+"x", 1)).Hash(); a != b {
		t.Error("a key that no rule uses changed the hash")
	}
}
