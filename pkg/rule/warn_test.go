package rule_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestWarnings(t *testing.T) {
	f := func(rules string, want ...string) {
		t.Helper()
		set := mustCompile(t, "[default]\nto = ['s']\n[redact]\nkey = '"+testKey+"'\n[[stream]]\nname = 's'\n[[stream]]\nname = 'x'\n"+rules)
		var got []string
		for _, w := range set.Warnings() {
			got = append(got, fmt.Sprint(w))
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s\ngot\n%s\nwant\n%s", rules, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	rule := func(name, says string) string { return "[[rule]]\nname = '" + name + "'\n" + says + "\n" }
	send, drop, last, mask := "\nto = ['x']", "\ndrop = true", "\nlast = true", "\nredact = { card = 'mask' }"

	never := func(b, a, does string, line, at int) string {
		return fmt.Sprintf("r.toml:%d: rule: rule %q never matches: rule %q in line %d %s all that it asks for", at, b, a, line, does)
	}
	const first = 9
	f(rule("a", "match = {}"+drop)+rule("b", "match = { n = 1 }"+send), never("b", "a", "drops", first, 13))
	f(rule("a", "match = { n = 1 }"+send+last)+rule("b", "match = { n = 1, m = 2 }"+send), never("b", "a", "is the last for", first, 14))
	f(rule("a", "match = { n = '>5' }"+drop)+rule("b", "match = { n = [7, '>=5.5'] }"+send), never("b", "a", "drops", first, 13))
	f(rule("a", "match = { n = '>5' }"+drop) + rule("b", "match = { n = [7, '>=5'] }"+send))
	f(rule("a", "match = { n = '*' }"+drop)+rule("b", "match = { n = '~x' }"+send), never("b", "a", "drops", first, 13))
	f(rule("a", "match = { service = ['p', 'q'] }"+drop)+rule("b", "match = { service = 'q' }"+send), never("b", "a", "drops", first, 13))
	f(rule("a", "match = { service = 'p' }"+drop) + rule("b", "match = { service = ['q', 'p'] }"+send))
	f(rule("a", "match = { path = 'order/**' }"+drop)+rule("b", "match = { path = 'order/*/pay' }"+send), never("b", "a", "drops", first, 13))
	f(rule("a", "match = { path = 'order/*' }"+drop) + rule("b", "match = { path = 'order/**' }"+send))
	f(rule("a", "match = { n = 1 }\nnot = { m = 1 }"+drop) + rule("b", "match = { n = 1 }"+send))
	f(rule("a", "match = { n = 1 }\nnot = { m = 1 }"+drop)+rule("b", "match = { n = 1 }\nnot = { any = [{ m = 1 }, { k = 2 }] }"+send), never("b", "a", "drops", first, 14))
	f(rule("a", "match = { any = [{ n = 1 }, { m = 1 }] }"+drop)+rule("b", "match = { m = 1 }"+send), never("b", "a", "drops", first, 13))
	f(rule("a", "match = { n = 1 }"+send) + rule("b", "match = { n = 1 }"+send))
	f(rule("a", "match = { level = '<info' }"+drop)+rule("b", "match = { level = 'debug' }"+send),
		`r.toml:13: rule: rule "b" matches nothing but the entries that frame tasks: rule "a" in line 9 drops the others`)
	f(rule("a", "match = { level = '<info' }"+drop)+rule("b", "match = { level = 'debug', n = 1 }"+drop), never("b", "a", "drops", first, 13))
	f(rule("a", "match = { n = 1 }"+drop) + rule("set", "match = {}\nset = { n = 1 }") + rule("b", "match = { n = 1 }"+send))
	f(rule("a", "match = { level = 'debug' }\ntask_entries = 'filter'"+drop) + rule("set", "match = {}\nset = { level = 'debug' }") + rule("b", "match = { level = 'debug' }"+send))

	late := func(by, fields, name string, line int) string {
		return fmt.Sprintf("r.toml:%d: rule.redact: comes after copies that %s may have sent: they keep %s as it was; to redact those too, put rule %q before", line, by, fields, name)
	}
	f(rule("a", "match = { n = 1 }"+send)+rule("b", mask), late(`rule "a"`, "card", "b", 16))
	f(rule("a", send+mask) + rule("b", mask+send))
	f(rule("a", "match = { card = '*' }\nremove = ['card']") + rule("b", send) + rule("c", "match = { card = '*' }"+mask))
	f(rule("a", "match = { service = 'p' }"+send) + rule("b", "match = { service = 'q' }"+mask))
	f(rule("a", "match = { n = 1 }"+send) + rule("b", "match = { n = 2 }"+mask))
	f(rule("a", "match = { level = 'warn' }"+send)+rule("b", "match = { level = 'info' }"+mask), late(`rule "a"`, "card", "b", 16))
	f(rule("a", send)+rule("b", "match = { n = 1 }"+send+last)+rule("c", send)+rule("d", send)+rule("d2", send)+rule("e", "redact = { card = 'hash', user.mail = 'last4' }"),
		late(`rules "a", "b", "c" and 2 others`, "card, user.mail", "e", 32))
}
