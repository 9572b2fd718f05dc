package tree

import (
	"bytes"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/google/go-cmp/cmp"
)

// entries parses lines of "SERVICE {…}".
func entriesOf(t *testing.T, lines ...string) []*entry.Entry {
	t.Helper()
	var all []*entry.Entry
	for _, l := range lines {
		svc, raw, _ := strings.Cut(l, " ")
		e, err := entry.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		e.Meta.Svc = svc
		all = append(all, &e)
	}
	return all
}

// gathered writes a gathered tree compactly.
func gathered(top *Task) string {
	var b strings.Builder
	top.Walk(func(t *Task) bool {
		b.WriteString(strings.Repeat("  ", t.Depth()) + t.Name + " " + or(string(t.Outcome), "?"))
		if t.Guessed {
			b.WriteString(" guessed")
		}
		for _, item := range t.Items {
			if item.Entry != nil && item.Entry != t.Start && item.Entry != t.End {
				b.WriteString(" " + item.Entry.Message)
			}
		}
		b.WriteByte('\n')
		return true
	})
	if c := top.Cause(); c != nil {
		b.WriteString("cause: " + c.Name + ": " + c.Error + "\n")
	}
	return b.String()
}

func TestGather(t *testing.T) {
	f := func(want string, roots []*Task, lines ...string) {
		t.Helper()
		top := Gather(By{"rid", "7f3a"}, entriesOf(t, lines...), roots)
		if diff := cmp.Diff(want, gathered(top)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	f("rid=7f3a ? guessed\n", nil)
	f(`rid=7f3a failed guessed
  web succeeded guessed a b c
  pay failed guessed x y z
cause: pay: no money
`, nil,
		`pay {"level":"error","time":"2026-11-22T16:02:15Z","message":"y","error":"no money"}`,
		`web {"level":"info","time":"2026-11-22T16:02:13Z","message":"c"}`,
		`web {"level":"warn","time":"2026-11-22T16:02:11Z","message":"a"}`,
		`web {"message":"b"}`,
		`pay {"level":"info","time":"2026-11-22T16:02:14Z","message":"x"}`,
		`pay {"level":"error","time":"2026-11-22T16:02:16Z","message":"z"}`)
	f("rid=7f3a ? guessed\n  web ? guessed a\n", nil, `web {"message":"a"}`)
	f("rid=7f3a failed guessed\n  web panicked guessed a\ncause: web: a\n", nil, `web {"level":"panic","message":"a"}`)
	f("rid=7f3a succeeded guessed\n  (no service) succeeded guessed a\n", nil, ` {"level":"debug","message":"a"}`)
}

// TestGatherWithTrees puts a tree that knows between services that are guessed:
// what it knows stays, and where it failed counts before what is guessed.
func TestGatherWithTrees(t *testing.T) {
	f := func(want string, o task.Outcome) {
		t.Helper()
		var lines []line
		p := newProcess("shop", &lines)
		order := p.start(trace1, "order", "")
		order.child("charge").end(o)
		order.end(o)
		root := forest(t, Config{}, rawLines(lines)...).Roots()[0]
		top := Gather(By{"rid", "7f3a"}, entriesOf(t,
			`pay {"level":"error","time":"2026-11-22T16:02:15Z","message":"no money"}`,
			`web {"level":"info","time":"2026-11-22T16:01:59Z","message":"asked"}`), []*Task{root})
		if diff := cmp.Diff(want, gathered(top)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if top.Entries != 6 || top.Tasks != 5 || root.Parent() != top || root.Children()[0].Depth() != 2 {
			t.Errorf("%d entries, %d tasks, depth %d", top.Entries, top.Tasks, root.Children()[0].Depth())
		}
		if top.Elapsed != 16000 {
			t.Errorf("%v ms", top.Elapsed)
		}
	}
	f(`rid=7f3a failed guessed
  web succeeded guessed asked
  order failed
    charge failed
  pay failed guessed no money
cause: charge: charge went wrong
`, task.Failed)
	f(`rid=7f3a failed guessed
  web succeeded guessed asked
  order succeeded
    charge succeeded
  pay failed guessed no money
cause: pay: no money
`, task.Succeeded)
}

func TestGatheredJSON(t *testing.T) {
	top := Gather(By{"rid", `7"`}, entriesOf(t, `web {"level":"info","time":"2026-11-22T16:02:13Z","message":"c"}`), nil)
	var out bytes.Buffer
	if err := WriteTree(&out, top); err != nil {
		t.Fatal(err)
	}
	want := `{"trace":null,"pos":null,"path":null,"name":"rid=7\"","service":null,"outcome":"succeeded","guessed":true,"by":{"field":"rid","value":"7\""},"started":"2026-11-22T16:02:13Z","elapsed_ms":0,"entries":[],` +
		`"children":[{"trace":null,"pos":null,"path":null,"name":"web","service":"web","outcome":"succeeded","guessed":true,"started":"2026-11-22T16:02:13Z","elapsed_ms":0,"entries":[{"level":"info","time":"2026-11-22T16:02:13Z","message":"c"}],"children":[],"missing":[]}],"missing":[]}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPathsThroughEliot wants whole paths where a program with dlog continues a
// task of one with Eliot, which hands over no path; and nothing absent at the
// number it handed over, at which Eliot writes nothing. The same where the agent
// has sent Eliot's lines on with a key of dlog's.
func TestPathsThroughEliot(t *testing.T) {
	f := func(start, end string) {
		t.Helper()
		var lines []line
		shop, mail := newProcess("shop", &lines), newProcess("mail", &lines)
		o := shop.start(trace1, "order", "")
		if handed := o.export(); handed != "2" {
			t.Fatal(handed)
		}
		o.end(task.Succeeded)
		m := mail.start(trace1, "send", "2.2~aaaaa")
		m.child("smtp").end(task.Succeeded)
		m.end(task.Succeeded)
		raw := append(rawLines(lines), []byte(start), []byte(end))
		want := `0193a5e1: 9 entries, 0 errors, 0 missing
  [] order succeeded
    2 debug "handed over"
    [2] order/print succeeded
      [2.2~aaaaa] order/print/send succeeded
        [2.2~aaaaa.2] order/print/send/smtp succeeded
`
		if diff := cmp.Diff(want, outline(forest(t, Config{}, raw...))); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	const (
		start = `{"task_uuid":"0193a5e1-c000-7a1b-8c2d-3e4f5a6b7c8d","task_level":[2,1],"action_type":"print","action_status":"started"`
		end   = `{"task_uuid":"0193a5e1-c000-7a1b-8c2d-3e4f5a6b7c8d","task_level":[2,3],"action_type":"print","action_status":"succeeded"`
		dlog  = `,"message":"print","dlog":{"svc":"py","trace":"` + trace1 + `","path":"print","proc":"00000000000000bb",`
	)
	f(start+"}", end+"}")
	f(start+dlog+`"pos":"2.1","seq":1,"event":"start"}}`, end+dlog+`"pos":"2.3","seq":2,"event":"end","outcome":"succeeded","n":3}}`)
}
