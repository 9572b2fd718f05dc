package tree

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/google/go-cmp/cmp"
)

// sample is a small tree with all that JSON has to say: entries, sub-tasks, a
// failure, an absent number.
func sample(t testing.TB) *Task {
	t.Helper()
	lines := []string{
		`{"level":"debug","sku":"A-17","time":"2026-11-22T16:02:11.482193Z","message":"place-order","dlog":{"svc":"checkout","trace":"` + trace1 + `","path":"place-order","pos":"1","proc":"00000000000000aa","seq":1,"event":"start"}}`,
		`{"level":"error","error":"card <declined>","time":"2026-11-22T16:02:11.5Z","message":"charge","dlog":{"svc":"bank","trace":"` + trace1 + `","path":"place-order/charge","pos":"2.3","proc":"00000000000000bb","seq":9,"event":"end","outcome":"failed","started":"2026-11-22T16:02:11.49Z","elapsed_ms":10.25,"n":3}}`,
		`{"level":"debug","time":"2026-11-22T16:02:11.49Z","message":"charge","dlog":{"svc":"bank","trace":"` + trace1 + `","path":"place-order/charge","pos":"2.1","proc":"00000000000000bb","seq":7,"event":"start"}}`,
		`{"level":"info","message":"said","dlog":{"svc":"checkout","trace":"` + trace1 + `","path":"place-order","pos":"3","proc":"00000000000000aa","seq":2}}`,
	}
	var raw [][]byte
	for _, l := range lines {
		raw = append(raw, []byte(l))
	}
	return forest(t, Config{}, raw...).Roots()[0]
}

func TestAppendSummary(t *testing.T) {
	got := string(AppendSummary(nil, sample(t)))
	want := `{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"place-order","service":"checkout","started":"2026-11-22T16:02:11.482193Z","ended":null,"elapsed_ms":null,"outcome":"running","cause":"card <declined>","entries":4,"errors":1,"missing":1}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestUnknownIsNull wants every key of a task of which nothing is known.
func TestUnknownIsNull(t *testing.T) {
	var lines []line
	newProcess("x", &lines).say(trace1, "", "2.1", "info", "said", entry.Meta{})
	root := forest(t, Config{}, rawLines(lines)...).Roots()[0]
	root.Name, root.Path = "", ""
	got := string(AppendSummary(nil, root))
	want := `{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":null,"service":null,"started":null,"ended":null,"elapsed_ms":null,"outcome":null,"cause":null,"entries":1,"errors":0,"missing":1}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var out bytes.Buffer
	if err := WriteTree(&out, root); err != nil {
		t.Fatal(err)
	}
	if head := `{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","pos":"","path":null,"name":null,"service":null,"outcome":null,"started":null,"elapsed_ms":null,"entries":[],"children":[{`; !strings.HasPrefix(out.String(), head) {
		t.Errorf("got %s", out.String())
	}
}

func TestWriteTree(t *testing.T) {
	root := sample(t)
	var out bytes.Buffer
	if err := WriteTree(&out, root); err != nil {
		t.Fatal(err)
	}
	raw := func(i int, at *Task) string { return string(at.Items[i].Entry.Raw) }
	child := root.Children()[0]
	want := `{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","pos":"","path":"place-order","name":"place-order","service":"checkout","outcome":"running","started":"2026-11-22T16:02:11.482193Z","elapsed_ms":null,` +
		`"entries":[` + raw(0, root) + `,` + raw(2, root) + `],` +
		`"children":[{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","pos":"2","path":"place-order/charge","name":"charge","service":"bank","outcome":"failed","started":"2026-11-22T16:02:11.49Z","elapsed_ms":10.25,` +
		`"entries":[` + raw(0, child) + `,` + raw(1, child) + `],"children":[],"missing":[{"pos":"2.2","reason":"missing"}]}],` +
		`"missing":[{"pos":"4","reason":"no-end"}]}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWriteGaps(t *testing.T) {
	var out bytes.Buffer
	if err := WriteGaps(&out, sample(t)); err != nil {
		t.Fatal(err)
	}
	want := `{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","pos":"4","reason":"no-end"}
{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","pos":"2.2","reason":"missing"}
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

// TestHugeRuns wants a line for each number as long as they are few, and one
// for the run where they are not.
func TestHugeRuns(t *testing.T) {
	gaps := func(end uint64) string {
		var lines []line
		p := newProcess("shop", &lines)
		p.say(trace1, "order", task.Position("").Child(end), "info", "order", entry.Meta{Event: entry.End, Outcome: task.Succeeded})
		root := forest(t, Config{Judge: ledger{}}, rawLines(lines)...).Roots()[0]
		if got := root.MissingCount(); got != end-1 {
			t.Errorf("%d missing, want %d", got, end-1)
		}
		var out strings.Builder
		if err := WriteGaps(&out, root); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if got := strings.Count(gaps(5001), "\n"); got != 5000 {
		t.Errorf("%d lines, want 5000", got)
	}
	want := `{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","pos":"1","to":"18446744073709551614","count":18446744073709551614,"reason":"missing"}` + "\n"
	got := func() string {
		var lines []line
		p := newProcess("shop", &lines)
		p.say(trace1, "order", "18446744073709551615", "info", "order", entry.Meta{Event: entry.End})
		var out strings.Builder
		_ = WriteGaps(&out, forest(t, Config{}, rawLines(lines)...).Roots()[0])
		return out.String()
	}()
	if got != want {
		t.Errorf("got %s", got)
	}
}

func TestRawStaysOneValidLine(t *testing.T) {
	f := func(want, raw string) {
		t.Helper()
		if got := string(appendRaw(nil, []byte(raw))); got != want || !json.Valid([]byte(got)) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(`{"a": "b"}`, `{"a": "b"}`)
	f(`{"a":"b"}`, "{\"a\":\n\"b\"}")
	f(`{"a":"�"}`, "{\"a\":\"\xff\"}")
}

func TestAppendNumbers(t *testing.T) {
	f := func(want string, ms float64) {
		t.Helper()
		if got := string(appendElapsed(nil, ms)); got != want {
			t.Errorf("%v: got %s, want %s", ms, got, want)
		}
	}
	f("null", -1)
	f("null", math.NaN())
	f("null", math.Inf(1))
	f("0", 0)
	f("0.046", 0.046)
	f("12", 12)
	if got := string(appendTime(nil, time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC))); got != "null" {
		t.Errorf("year 12026: %s", got)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestWriteErrors(t *testing.T) {
	if err := WriteTree(brokenPipe{}, sample(t)); err == nil {
		t.Error("tree: no error")
	}
	if err := WriteGaps(brokenPipe{}, sample(t)); err == nil {
		t.Error("gaps: no error")
	}
}
