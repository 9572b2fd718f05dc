package rule_test

import (
	"testing"

	"github.com/dlog-fabric/dlog/pkg/rule"
)

// changers are actions, each with a line that it changes. What the expected
// allocations are of stands in the comment of the one that has any.
var changers = []struct {
	name, does, line string
	allocs           float64
}{
	{"set", "set = { level = 'warn', user.plan = 'x' }", timingLine, 0},
	{"rename", "rename = { card = 'number', user.id = 'uid' }", timingLine, 0},
	{"remove", "remove = ['card', 'user.id', 'absent']", timingLine, 0},
	{"redact", "redact = { card = 'last4', user.mail = 'hash', user.id = 'mask' }", timingLine, 0},
	{"parse-json", "parse = { payload = 'json' }", timingLine, 0},
	{"parse-logfmt", "parse = { message = 'logfmt' }", timingLine, 0},
	{"parse-regexp", `parse = { message = '~^op=(?P<op>\S+)' }`, timingLine, 1}, // package regexp makes a slice of the places found
	{"sample", "match = {}\nsample = '50%'", timingLine, 0},
	{"nothing", "redact = { secret = 'mask', token = 'remove' }", timingLine, 0},
}

const timingLine = `{"level":"info","time":"2026-11-22T10:00:00.000Z","host":"node-28","card":"4111111111111111","user":{"id":4711,"mail":"somebody@example.org"},` +
	`"payload":"{\"a\":1,\"b\":{\"c\":\"text\"}}","message":"op=charge took=12ms note=\"a text in quotes\"",` +
	`"dlog":{"svc":"svc-7","trace":"01932b6e5d3a7c4e8f1a2b3c4d5e6fe1","path":"place-order","pos":"2.4","proc":"9f00112233445566","seq":812}}`

func TestChangesAllocateNothing(t *testing.T) {
	if raced {
		t.Skip("allocations are not counted under the race detector")
	}
	var d rule.Decision
	for _, c := range changers {
		p, line := mustCompile(t, changes(c.does)).Plan(parse(t, "dlog.in.svc-7.info.place-order")), []byte(c.line)
		if n := testing.AllocsPerRun(100, func() {
			if err := p.Eval(line, &d); err != nil || d.Dead >= 0 {
				t.Fatal(err, d.Fault)
			}
		}); n > c.allocs {
			t.Errorf("%s: %v allocations, at most %v", c.name, n, c.allocs)
		}
	}
}

func BenchmarkChange(b *testing.B) {
	for _, c := range changers {
		b.Run(c.name, func(b *testing.B) {
			p, line := mustCompile(b, changes(c.does)).Plan(parse(b, "dlog.in.svc-7.info.place-order")), []byte(c.line)
			var d rule.Decision
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Eval(line, &d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
