package structure

import (
	"context"
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// maxBadToken bounds what is kept of a token that cannot be read.
const maxBadToken = 256

// badTokenKey is the field that keeps it.
const badTokenKey = "bad_token"

// Export hands the task over to another process: it writes an export entry and returns the token that [Process.Import] takes there. The name says to
// whom or for what. Each hand-over needs a token of its own; one that nobody claims is no gap. A token may be claimed many
// times (redelivery, fan-out): each claim is a sibling.
func (t *Task) Export(name string) string {
	tok, ok := t.export(name)
	if !ok {
		return ""
	}
	return tok.String()
}

func (t *Task) export(name string) (task.Token, bool) {
	if t == nil {
		return task.Token{}, false
	}
	n := t.say(entry.Export, zerolog.DebugLevel, name, 0, nil)
	if n == 0 { // refused; the claims need a place all the same
		n = t.take(false)
	}
	return task.Token{Trace: t.trace, Pos: t.pos.Child(n), Path: t.node.path}, true
}

// Headers hands the task over like Export and returns what to send along: dlog's token and, for OpenTelemetry in between, a W3C traceparent. A nil
// task returns two empty strings.
func (t *Task) Headers(name string) (token, traceparent string) {
	tok, ok := t.export(name)
	if !ok {
		return "", ""
	}
	return tok.String(), tok.Traceparent()
}

// Import begins a task that continues another one, often of another process: below the export entry that the token names. A W3C
// traceparent is taken too (the task then stands in the stranger's trace), and a task id of Eliot's (see [Task.ExportEliot]). An
// empty token, which is nothing handed over, begins a new trace, as does one that is garbage; that is kept in the field
// bad_token, and said once. The task of ctx, if any, plays no part.
func (p *Process) Import(ctx context.Context, token, name string, fields ...Field) (context.Context, *Task) {
	if ctx == nil {
		ctx = context.Background()
	}
	if p == nil {
		return ctx, nil
	}
	at, err := p.continued(token, name)
	if err != nil {
		p.say.once("token", "a token cannot be read, the task %q begins a new trace: %v", name, err)
		fields = append(slices.Clip(fields), Str(badTokenKey, cutText(token, maxBadToken)))
	}
	return p.begin(ctx, at, fields)
}

// continued finds the place that a token names; with an error it is a new trace.
func (p *Process) continued(token, name string) (place, error) {
	token = strings.TrimSpace(token)
	switch {
	case token == "":
		return p.fresh(name), nil
	case isTraceparent(token):
		trace, span, err := task.ParseTraceparent(token)
		if err != nil {
			return p.fresh(name), err
		}
		return p.foreign(trace, span, name), nil
	}
	tok, err := parseToken(token)
	if err != nil {
		return p.fresh(name), err
	}
	return p.claim(tok, name), nil
}

// isTraceparent tells the two forms apart: the version of a token, 01, is no version of W3C's that exists.
func isTraceparent(token string) bool { return !strings.HasPrefix(token, "01-") && !isEliotID(token) }

func (p *Process) claim(tok task.Token, name string) place {
	return place{
		trace: tok.Trace,
		pos:   tok.Pos.Claim(task.NewAttempt()),
		node:  p.routes.child(p.routes.within(tok.Path), name),
	}
}

func (p *Process) foreign(trace [16]byte, span [8]byte, name string) place {
	return place{
		trace: trace,
		pos:   task.ForeignPosition(span, task.NewAttempt()),
		node:  p.routes.child(p.routes.root, name),
	}
}

// Link names another task, by its token, that this one has to do with: one of many that a batch continues, or a stranger whose trace
// is not taken over. It stands on the end entry. A token that does not parse is left out and said once.
func (t *Task) Link(token string) {
	if t == nil {
		return
	}
	tok, err := linkTarget(token)
	if err != nil {
		t.p.say.once("link", "a link cannot be read and is left out: %v", err)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if !slices.Contains(t.links, tok) {
		t.links = append(t.links, tok)
	}
}

// linkTarget checks a token or a traceparent.
func linkTarget(token string) (string, error) {
	token = strings.TrimSpace(token)
	if isTraceparent(token) {
		_, _, err := task.ParseTraceparent(token)
		return token, err
	}
	tok, err := parseToken(token)
	return tok.String(), err
}

func (t *Task) appendLinks(b []byte) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, link := range t.links {
		if i == 0 {
			b = append(b, `,"links":[`...)
		} else {
			b = append(b, ',')
		}
		b = entry.AppendString(b, link)
	}
	if len(t.links) > 0 {
		b = append(b, ']')
	}
	return b
}
