// Package dlogtest shows in tests what a program said, as trees.
//
//	rec := dlogtest.New(t)
//	placeOrder(ctx, rec.Client())
//	rec.Tree(`
//		place-order: failed (card declined) order=A-1
//		  - info reserved n=3
//		  charge-card: failed (card declined) amount=*
//		  > mailer
//	`)
//
// A task is its name, outcome, error and fields; "-" an entry with its level, message and fields; ">" a hand-over. Ids, times
// and durations are left out. In the literal, * stands for anything within its line, and indentation common to all lines does not count.
//
// A test fails if a task has not ended when the test has. Nothing is sent anywhere, no environment is read, and no server is needed.
package dlogtest

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
	"github.com/rs/zerolog"
)

// Recorder holds everything that a client said. It is safe for concurrent use.
type Recorder struct {
	t      testing.TB
	client *dlog.Client

	mu    sync.Mutex // guards lines
	lines [][]byte
}

// New returns a recorder and, with it, a client. A Config is for what the test needs otherwise than usual; its Out is replaced. When the test ends, tasks
// that have not are reported as failures.
func New(t testing.TB, cfg ...dlog.Config) *Recorder {
	t.Helper()
	r := &Recorder{t: t}
	var c dlog.Config
	if len(cfg) > 0 {
		c = cfg[0]
	}
	if c.Service == "" {
		c.Service = "test"
	}
	c.Out = structure.Writer(r)
	client, err := dlog.Open(c)
	if err != nil {
		t.Fatalf("dlogtest: %v", err)
	}
	r.client = client
	t.Cleanup(r.finish)
	return r
}

// Client returns the client whose entries are recorded.
func (r *Recorder) Client() *dlog.Client { return r.client }

// Write takes one line; the recorder's own client calls it.
func (r *Recorder) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, bytes.Clone(line))
	return len(line), nil
}

// Entries returns what was said so far, in that order, the process's own birth entry included.
func (r *Recorder) Entries() []entry.Entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	entries := make([]entry.Entry, 0, len(r.lines))
	for _, line := range r.lines {
		e, err := entry.Parse(line)
		if err != nil {
			r.t.Errorf("dlogtest: a line is no entry: %v: %s", err, line)
			continue
		}
		entries = append(entries, e)
	}
	return entries
}

// Tree compares all trees with the literal and fails the test, with both, where they differ.
func (r *Recorder) Tree(want string) {
	r.t.Helper()
	got := r.String()
	if !pattern(want).MatchString(got) {
		r.t.Errorf("dlogtest: got the tree\n%s\nwant\n%s", got, outdent(want))
	}
}

// String renders all trees as Tree compares them.
func (r *Recorder) String() string {
	f := tree.New()
	for _, e := range r.Entries() {
		f.Add(e)
	}
	var b strings.Builder
	for _, t := range f.Roots() {
		render(&b, t, 0)
	}
	return b.String()
}

// Unfinished returns the paths of the tasks that have not ended.
func (r *Recorder) Unfinished() []string {
	open := map[string]string{}
	var order []string
	for _, e := range r.Entries() {
		key := e.Meta.Trace + " " + string(parent(e.Meta.Pos))
		switch e.Meta.Event {
		case entry.Start:
			open[key] = e.Meta.Path
			order = append(order, key)
		case entry.End:
			delete(open, key)
		}
	}
	var paths []string
	for _, key := range order {
		if path, ok := open[key]; ok {
			paths = append(paths, path)
		}
	}
	return paths
}

func parent(pos string) task.Position {
	p, _, _ := task.Position(pos).Split()
	return p
}

func (r *Recorder) finish() {
	for _, path := range r.Unfinished() {
		r.t.Errorf("dlogtest: the task %s has not ended (is \"defer t.End(&err)\" missing?)", path)
	}
	_ = r.client.Close(r.t.Context())
}

// pattern makes the literal match the rendered trees.
func pattern(want string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(outdent(want))
	return regexp.MustCompile("^" + strings.ReplaceAll(quoted, `\*`, `[^\n]*`) + "$")
}

// outdent takes away blank lines around the text, trailing space and the indentation that all lines share; a tab is as wide as two spaces.
func outdent(text string) string {
	var lines []string
	shared := -1
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, " \t\r")
		if line == "" {
			continue
		}
		body := strings.TrimLeft(line, " \t")
		line = strings.ReplaceAll(line[:len(line)-len(body)], "\t", "  ") + body
		if n := len(line) - len(body); shared < 0 || n < shared {
			shared = n
		}
		lines = append(lines, line)
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(line[shared:])
		b.WriteByte('\n')
	}
	return b.String()
}

func render(b *strings.Builder, t *tree.Task, depth int) {
	indent(b, depth)
	b.WriteString(t.Name + ": " + string(t.Outcome))
	if t.Error != "" {
		b.WriteString(" (" + oneLine(t.Error) + ")")
	}
	if last := t.End; last != nil {
		fields(b, last)
	} else if t.Start != nil {
		fields(b, t.Start)
	}
	b.WriteByte('\n')
	for _, item := range t.Items {
		if item.Task != nil {
			render(b, item.Task, depth+1)
			continue
		}
		renderEntry(b, item, depth+1)
	}
}

func renderEntry(b *strings.Builder, item tree.Item, depth int) {
	e := item.Entry
	switch e.Meta.Event {
	case entry.Start, entry.End:
		return
	case entry.Export:
		indent(b, depth)
		b.WriteString("> " + oneLine(e.Message) + "\n")
		return
	}
	indent(b, depth)
	b.WriteString("- ")
	if item.Late {
		b.WriteString("late ")
	}
	b.WriteString(e.Level.String())
	if e.Message != "" {
		b.WriteString(" " + oneLine(e.Message))
	}
	if e.Error != "" {
		b.WriteString(" (" + oneLine(e.Error) + ")")
	}
	fields(b, e)
	b.WriteByte('\n')
}

func indent(b *strings.Builder, depth int) { b.WriteString(strings.Repeat("  ", depth)) }

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", `\n`) }

// fields writes the entry's own fields as key=value, in their order.
func fields(b *strings.Builder, e *entry.Entry) {
	dec := json.NewDecoder(bytes.NewReader(e.Raw))
	dec.UseNumber()
	if _, err := dec.Token(); err != nil {
		return
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return
		}
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return
		}
		switch key {
		case zerolog.LevelFieldName, zerolog.TimestampFieldName, zerolog.MessageFieldName, zerolog.ErrorFieldName, entry.Key:
			continue
		}
		name, _ := key.(string)
		b.WriteString(" " + name + "=" + plain(value))
	}
}

// plain unquotes a string that is one word.
func plain(value json.RawMessage) string {
	var s string
	if json.Unmarshal(value, &s) == nil && s != "" && strconv.Quote(s) == `"`+s+`"` && !strings.ContainsAny(s, " =") {
		return s
	}
	return string(value)
}
