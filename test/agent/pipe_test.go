package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/agent"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// A kind of line: %d is its number, which the message holds as "#n#".
type kind struct {
	text  string
	level entry.Level
	year  int // of the entry's time, 0 for now
}

var kinds = []kind{
	{`{"level":"info","n":%d,"time":"2025-01-02T03:04:05.678901Z","message":"#%[1]d# zerolog"}`, entry.Info, 2025},
	{`{"time":"2025-01-02T03:04:05.6Z","level":"WARN","msg":"#%d# slog"}`, entry.Warn, 2025},
	{`{"level":"error","ts":1735786145.5,"caller":"x.go:1","msg":"#%d# zap"}`, entry.Error, 2025},
	{`{"level":50,"time":1735786145500,"pid":1,"hostname":"h","msg":"#%d# pino"}`, entry.Error, 2025},
	{`{"asctime": "2025-01-02 03:04:05,678", "levelname": "CRITICAL", "name": "x", "message": "#%d# python"}`, entry.Fatal, 2025},
	{`{"message":"#%d# winston, no time","level":"silly"}`, entry.Trace, 0},
	{`time=2025-01-02T03:04:05Z level=warning msg="#%d# logfmt" a=1`, entry.Warn, 2025},
	{`2025-01-02 03:04:05,678 - shop - DEBUG - #%d# python text`, entry.Debug, 2025},
	{`2025/01/02 03:04:05 #%d# go`, entry.None, 2025},
	{`[ERROR] #%d# bracket`, entry.Error, 0},
	{`#%d# nothing known "quotes" \ and ünïcode`, entry.None, 0},
	{`{"half":"#%d# a line`, entry.None, 0},
	{"NUL \x00 and bad UTF-8 \xff #%d# \r", entry.None, 0},
	{`{"nested":"{\"level\":\"error\"}","m":{"level":"panic"},"message":"#%d#"}`, entry.None, 0},
}

// mixture writes n lines of all kinds, some with a trace behind them, and returns what each must be.
func mixture(n int, seed uint64) ([]byte, []kind) {
	r := rand.New(rand.NewPCG(seed, 0))
	var b bytes.Buffer
	want := make([]kind, n)
	for i := range n {
		want[i] = kinds[r.IntN(len(kinds))]
		fmt.Fprintf(&b, want[i].text+"\n", i)
		if strings.HasPrefix(want[i].text, "[ERROR]") && r.IntN(2) == 0 {
			fmt.Fprintf(&b, "Traceback (most recent call last):\n  File \"x.py\", line %d, in f\nValueError: of %[1]d\n", i)
		}
		if r.IntN(50) == 0 {
			b.WriteString("\n \r\n")
		}
	}
	return b.Bytes(), want
}

// TestPipeStoresWhatWasPiped pipes 100,000 lines of all formats and compares each with what was stored: once, in order, with its level, its
// time and, for JSON, all of its members.
func TestPipeStoresWhatWasPiped(t *testing.T) {
	const n = 100_000
	input, want := mixture(n, 1)
	w := newWorld(t)
	o, _ := w.open(agent.Config{Service: "mixed", Idle: time.Hour}) // a machine that stands still takes no trace apart
	var echo bytes.Buffer
	if err := o.Pipe(context.Background(), agent.Pipe{In: bytes.NewReader(input), Echo: &echo}); err != nil {
		t.Fatal(err)
	}
	w.done(o)
	if !bytes.Equal(echo.Bytes(), input) {
		t.Error("what is echoed is not what was piped")
	}
	all := w.stored()
	if len(all) != n {
		t.Fatalf("%d entries for %d lines", len(all), n)
	}
	slices.SortFunc(all, func(a, b item) int { return int(a.Meta.Seq) - int(b.Meta.Seq) })
	for i := range all {
		if err := check(&all[i], i, want[i]); err != nil {
			t.Fatalf("line %d: %v: %s", i, err, all[i].Raw)
		}
	}
}

func check(it *item, i int, want kind) error {
	if !strings.Contains(it.Message, "#"+strconv.Itoa(i)+"#") {
		return fmt.Errorf("not its message: %q", it.Message)
	}
	if it.Level != want.level || it.subject != "dlog.in.mixed."+want.level.Token()+".-" {
		return fmt.Errorf("level %s under %s, want %s", it.Level, it.subject, want.level)
	}
	if want.year != 0 && it.Time.Year() != want.year || want.year == 0 && time.Since(it.Time) > time.Hour {
		return fmt.Errorf("time %v", it.Time)
	}
	if it.Meta.Stack != "" && !strings.HasSuffix(it.Meta.Stack, "ValueError: of "+strconv.Itoa(i)) {
		return fmt.Errorf("somebody else's stack: %q", it.Meta.Stack)
	}
	return nil
}

// TestPipeOfEliot gives the trees of the messages, outcomes and all.
func TestPipeOfEliot(t *testing.T) {
	const id = "f75b06b9-dd9e-4407-a763-b6de324400b7"
	lines := []string{
		`{"action_status":"started","timestamp":1795363886.38,"task_uuid":"` + id + `","action_type":"check_links","task_level":[1]}`,
		`{"action_status":"started","timestamp":1795363886.38,"task_uuid":"` + id + `","action_type":"download","task_level":[2,1]}`,
		`{"exception":"x.ConnectionError","reason":"no name","action_status":"failed","timestamp":1795363886.39,"task_uuid":"` + id + `","action_type":"download","task_level":[2,2]}`,
		`{"message_type":"note","timestamp":1795363886.39,"task_uuid":"` + id + `","task_level":[3]}`,
		`{"action_status":"succeeded","timestamp":1795363886.4,"task_uuid":"` + id + `","action_type":"check_links","task_level":[4]}`,
	}
	w := newWorld(t)
	o, _ := w.open(agent.Config{Service: "links"})
	if err := o.Pipe(context.Background(), agent.Pipe{In: strings.NewReader(strings.Join(lines, "\n"))}); err != nil {
		t.Fatal(err)
	}
	w.done(o)
	root := w.root()
	if root.Path != "check_links" || root.Outcome != "succeeded" || root.Service != "links" || root.Entries != 5 {
		t.Errorf("root %s %s of %s, %d entries", root.Path, root.Outcome, root.Service, root.Entries)
	}
	if c := root.Cause(); c == nil || c.Path != "check_links/download" || c.Error != "no name" {
		t.Errorf("cause %+v", c)
	}
	var subjects []string
	for _, it := range w.stored() {
		subjects = append(subjects, it.subject)
	}
	slices.Sort(subjects)
	want := []string{"dlog.in.links.none.check_links", "dlog.in.links.task.check_links", "dlog.in.links.task.check_links", "dlog.in.links.task.check_links.download", "dlog.in.links.task.check_links.download"}
	if !slices.Equal(subjects, want) {
		t.Errorf("subjects %q", subjects)
	}
}

// TestPipeKeepsDlogLines sends a line with a dlog key as it is, under its own service, level and path.
func TestPipeKeepsDlogLines(t *testing.T) {
	line := `{"level":"warn", "a" : 1,"dlog":{"svc":"py","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order/pay","pos":"2.1","mine":true}}`
	start := `{"message":"order","dlog":{"svc":"py","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order","pos":"1","event":"start"}}`
	w := newWorld(t)
	o, _ := w.open(agent.Config{Service: "pipe"})
	if err := o.Pipe(context.Background(), agent.Pipe{In: strings.NewReader(line + "\r\n" + start)}); err != nil {
		t.Fatal(err)
	}
	w.done(o)
	got := map[string]string{}
	for _, it := range w.stored() {
		got[it.subject] = string(it.Raw)
	}
	if got["dlog.in.py.warn.order.pay"] != line || got["dlog.in.py.task.order"] != start || len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestPipeOfLongLines keeps memory and entries bounded and says what was cut.
func TestPipeOfLongLines(t *testing.T) {
	const long = 10 << 20
	pad := strings.Repeat("x", long)
	input := strings.Join([]string{
		`{"level":"info","message":"json","pad":"` + pad + `"}`,
		`{"level":"info","message":"broken","pad":"` + pad,
		"2025-01-02T03:04:05Z ERROR text " + pad,
		`level=info msg=logfmt pad=` + pad,
		`{"message":"own","pad":"` + pad + `","dlog":{"svc":"py"}}`,
		`{"task_uuid":"f75b06b9-dd9e-4407-a763-b6de324400b7","task_level":[1],"action_type":"a","action_status":"started","timestamp":1.5,"pad":"` + pad + `"}`,
		strings.Repeat("\x01", 1<<20),
		`{"pad":"` + pad + pad + `"}`, // longer than anything that is kept
		"after all of them",
	}, "\n")
	w := newWorld(t)
	o, _ := w.open(agent.Config{Service: "long"})
	if err := o.Pipe(context.Background(), agent.Pipe{In: strings.NewReader(input)}); err != nil {
		t.Fatal(err)
	}
	w.done(o)
	all := w.stored()
	if len(all) != 9 {
		t.Fatalf("%d entries, want 9", len(all))
	}
	for _, it := range all {
		if len(it.Raw) > entry.MaxLine {
			t.Errorf("%.80s… has %d bytes", it.Raw, len(it.Raw))
		}
		if it.Meta.Cut == "" && it.Message != "after all of them" {
			t.Errorf("%.80s… does not say that it was cut", it.Raw)
		}
	}
	if roots := w.forest().Roots(); len(roots) != 1 || roots[0].Path != "a" {
		t.Errorf("the long Eliot line lost its place")
	}
}

// TestPipeWithoutServer does not wait for one: what finds no room is refused, debug first, and every line is accounted for.
func TestPipeWithoutServer(t *testing.T) {
	w := &world{t: t, url: "nats://127.0.0.1:1"}
	o, _ := w.open(agent.Config{Service: "alone", QueueBytes: 4 << 20})
	lose(t, o)
}

// TestPipeWithServerThatStoresNothing is the same with one that answers, but has no stream.
func TestPipeWithServerThatStoresNothing(t *testing.T) {
	o, _ := bareWorld(t).open(agent.Config{Service: "alone", QueueBytes: 4 << 20})
	lose(t, o)
}

func lose(t *testing.T, o *agent.Outlet) {
	t.Helper()
	const n = 50_000
	input, _ := mixture(n, 2)
	if err := o.Pipe(context.Background(), agent.Pipe{In: bytes.NewReader(input)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	err := o.Close(ctx)
	if err == nil {
		t.Fatal("nothing was lost without a server")
	}
	var refused, total, left int
	for line := range strings.SplitSeq(err.Error(), "\n") {
		if strings.Contains(line, "were refused") {
			fmt.Sscanf(line, "%d of %d", &refused, &total)
		} else {
			fmt.Sscanf(line, "%d entries were not sent", &left)
		}
	}
	// The process itself says two entries more: its birth and its death.
	if refused == 0 || left == 0 || refused+left != n+2 || total != n+2 {
		t.Errorf("%d refused of %d, %d left, %d lines: %v", refused, total, left, n, err)
	}
}

// TestPipeIdle stores a line of text though nothing follows it.
func TestPipeIdle(t *testing.T) {
	w := newWorld(t)
	o, _ := w.open(agent.Config{Service: "idle", Idle: time.Millisecond})
	r, in := io.Pipe()
	result := make(chan error, 1)
	go func() { result <- o.Pipe(context.Background(), agent.Pipe{In: r}) }()
	fmt.Fprintln(in, "ERROR no stock")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := stream.Read(ctx, w.js, stream.ReadConfig{Stream: "DLOG_IN", Subjects: []string{"dlog.in.idle.error.>"}}, func(stream.Pack) error {
		return stream.ErrStop
	})
	if err != nil && !errors.Is(err, stream.ErrStop) {
		t.Error(err)
	}
	in.Close()
	if err := <-result; err != nil {
		t.Error(err)
	}
	w.done(o)
}

// TestPipeStops reads on for a moment after it was told to stop, and not for ever.
func TestPipeStops(t *testing.T) {
	w := newWorld(t)
	o, _ := w.open(agent.Config{Service: "stop"})
	r, in := io.Pipe()
	defer in.Close()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- o.Pipe(ctx, agent.Pipe{In: r, Grace: 100 * time.Millisecond}) }()
	fmt.Fprintln(in, "first")
	cancel()
	fmt.Fprintln(in, "last words")
	fmt.Fprint(in, "half a line")
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	w.done(o)
	var got []string
	for _, it := range w.stored() {
		got = append(got, it.Message)
	}
	if !slices.Equal(got, []string{"first", "last words", "half a line"}) {
		t.Errorf("%q", got)
	}
}

// TestPipeErrors says that input or output fails and goes on as far as it can.
func TestPipeErrors(t *testing.T) {
	broken := errors.New("broken")
	w := newWorld(t)
	o, _ := w.open(agent.Config{Service: "errors"})
	err := o.Pipe(context.Background(), agent.Pipe{
		In:   io.MultiReader(strings.NewReader("one\n"), strings.NewReader("two\n"), errReader{broken}),
		Echo: errWriter{os.ErrClosed},
	})
	if !errors.Is(err, broken) || !errors.Is(err, os.ErrClosed) {
		t.Errorf("error %v", err)
	}
	w.done(o)
	if n := len(w.stored()); n != 2 {
		t.Errorf("%d entries, want 2", n)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

type errWriter struct{ err error }

func (w errWriter) Write([]byte) (int, error) { return 0, w.err }

// TestPipeSpool keeps what could not be sent in files, and the next start sends it.
func TestPipeSpool(t *testing.T) {
	dir := t.TempDir()
	away := &world{t: t, url: "nats://127.0.0.1:1"}
	o, _ := away.open(agent.Config{Service: "kept", Spool: dir})
	if err := o.Pipe(context.Background(), agent.Pipe{In: strings.NewReader("one\ntwo\n")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := o.Close(ctx); err == nil || !strings.Contains(err.Error(), "4 entries were not sent") {
		t.Fatalf("close: %v", err)
	}
	w := newWorld(t)
	o, said := w.open(agent.Config{Service: "kept", Spool: dir})
	if err := o.Pipe(context.Background(), agent.Pipe{In: strings.NewReader("three\n")}); err != nil {
		t.Fatal(err)
	}
	w.done(o)
	var got []string
	for _, it := range w.stored() {
		got = append(got, it.Message)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"one", "three", "two"}) {
		t.Errorf("%q; %s", got, said)
	}
}
