package structure

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// Bounds of what an end entry says about its error.
const (
	maxErrors    = 32
	maxErrorText = 4 << 10
	maxStack     = 16 << 10
)

// End ends the task. It is meant to be the deferred function itself, with the address of the function's named error:
//
//	defer t.End(&err)
//
// The outcome is panicked if a panic is on its way, which goes on after the end entry is written; succeeded if the error is nil;
// cancelled if the error is context.Canceled or tells of the end of the task's own context; else failed, a deadline
// that only some inner call had included. Without an address, End(nil), the context alone decides: cancelled if it is done, else succeeded.
// Only the first End of a task counts.
func (t *Task) End(err *error) {
	if t == nil || t.done.Load() {
		return
	}
	if v := recover(); v != nil {
		t.finish(panicked(v, debug.Stack()))
		panic(v)
	}
	switch {
	case err != nil:
		t.finish(t.verdict(*err))
	case t.ctx.Context.Err() != nil:
		t.finish(verdict{outcome: task.Cancelled, err: context.Cause(t.ctx.Context)})
	default:
		t.finish(verdict{outcome: task.Succeeded})
	}
}

// Panicked ends the task with a panic that somebody else has recovered: its value and the stack (debug.Stack). It does not panic itself. It is for
// adapters; everybody else defers End.
func (t *Task) Panicked(value any, stack []byte) {
	if t != nil {
		t.finish(panicked(value, stack))
	}
}

// verdict is how a task ended.
type verdict struct {
	outcome task.Outcome
	err     error // nil: none, or text says it
	typ     string
	text    string
	stack   string
}

func (t *Task) verdict(err error) verdict {
	switch {
	case err == nil:
		return verdict{outcome: task.Succeeded}
	case t.wasCancelled(err):
		return verdict{outcome: task.Cancelled, err: err}
	}
	return verdict{outcome: task.Failed, err: err}
}

// wasCancelled tells who gave up: with context.Canceled, or the error of the task's own context, it was somebody above.
func (t *Task) wasCancelled(err error) bool {
	if errors.Is(err, context.Canceled) {
		return true
	}
	own := t.ctx.Context.Err()
	return own != nil && (errors.Is(err, own) || errors.Is(err, context.Cause(t.ctx.Context)))
}

func panicked(v any, stack []byte) verdict {
	out := verdict{outcome: task.Panicked, stack: cutStack(string(stack))}
	if err, ok := v.(error); ok {
		out.err = err
		return out
	}
	out.typ, out.text = fmt.Sprintf("%T", v), panicText(v)
	return out
}

// panicText never panics itself, whatever a String method does.
func panicText(v any) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("%T", v)
		}
	}()
	return fmt.Sprint(v)
}

// cutStack takes away the frames of the recovery, above the panic itself, and what is too long.
func cutStack(s string) string {
	if i := strings.Index(s, "\npanic("); i >= 0 {
		rest := s[i+1:]
		for range 2 { // the line of panic and that of its file
			_, after, ok := strings.Cut(rest, "\n")
			if !ok {
				break
			}
			rest = after
		}
		if head, _, ok := strings.Cut(s, "\n"); ok && rest != "" {
			s = head + "\n" + rest
		}
	}
	return cutText(strings.TrimSuffix(s, "\n"), maxStack)
}

func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// finish writes the end entry, once.
func (t *Task) finish(v verdict) {
	if !t.done.CompareAndSwap(false, true) {
		return
	}
	now := time.Now()
	level := endLevel(v.outcome)
	body, keys := takeBuffer(), takeBuffer()
	defer giveBuffer(body)
	defer giveBuffer(keys)
	*body = t.appendBody(*body, now, level, t.node.name, t.fields, t.endFields(v))
	*keys = appendEvent(*keys, entry.End)
	*keys = t.appendEnd(*keys, v, now.Sub(t.started))
	it := item{route: t.node.route, level: levelOf(level), system: true, body: *body, task: t, keys: *keys, end: true}
	if !t.p.put(&it) {
		t.take(true) // what comes now is late all the same
	}
	t.p.open.Add(-1)
	t.p.marks.forget(t)
}

func endLevel(o task.Outcome) zerolog.Level {
	switch o {
	case task.Succeeded:
		return zerolog.InfoLevel
	case task.Cancelled:
		return zerolog.WarnLevel
	}
	return zerolog.ErrorLevel
}

// endFields returns the fields that the end entry has and the start entry had not: those of Add, and the error as zerolog writes it.
func (t *Task) endFields(v verdict) []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.added[:len(t.added):len(t.added)]
	switch {
	case v.err != nil:
		f := Err(v.err)
		return appendField(b, &f)
	case v.text != "":
		f := Str(zerolog.ErrorFieldName, cutText(v.text, maxErrorText))
		return appendField(b, &f)
	}
	return b
}

func (t *Task) appendEnd(b []byte, v verdict, elapsed time.Duration) []byte {
	b = append(b, `,"outcome":"`...)
	b = append(b, v.outcome...)
	b = append(b, `","elapsed_ms":`...)
	b = strconv.AppendFloat(b, float64(elapsed.Microseconds())/1000, 'f', -1, 64)
	b = append(b, `,"started":"`...)
	b = t.p.clock.append(b, t.started)
	b = append(b, '"')
	b = appendErrors(b, v)
	if v.stack != "" {
		b = entry.AppendString(append(b, `,"stack":`...), v.stack)
	}
	b = t.appendLinks(b)
	return appendRefused(b, &t.refused)
}

// appendErrors appends the chain of errors: types and texts, outermost first, joined ones in their order.
func appendErrors(b []byte, v verdict) []byte {
	if v.err == nil && v.typ == "" {
		return b
	}
	b = append(b, `,"errors":[`...)
	if v.err == nil {
		b = appendError(b, v.typ, v.text)
	} else {
		left := maxErrors
		b = appendChain(b, v.err, &left)
	}
	return append(b, ']')
}

func appendChain(b []byte, err error, left *int) []byte {
	for err != nil && *left > 0 {
		if *left < maxErrors {
			b = append(b, ',')
		}
		*left--
		b = appendError(b, reflect.TypeOf(err).String(), errorText(err))
		switch e := err.(type) {
		case interface{ Unwrap() error }:
			err = unwrap(e)
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				if inner != nil {
					b = appendChain(b, inner, left)
				}
			}
			return b
		default:
			return b
		}
	}
	return b
}

func appendError(b []byte, typ, text string) []byte {
	b = entry.AppendString(append(b, `{"type":`...), typ)
	b = entry.AppendString(append(b, `,"text":`...), cutText(text, maxErrorText))
	return append(b, '}')
}

// unwrap and errorText call code of strangers at a moment when a second panic would hide the first fault.
func unwrap(e interface{ Unwrap() error }) (err error) {
	defer func() {
		if recover() != nil {
			err = nil
		}
	}()
	return e.Unwrap()
}

func errorText(err error) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text = fmt.Sprintf("%T (its Error method panicked: %s)", err, panicText(v))
		}
	}()
	if err == nil {
		return ""
	}
	return err.Error()
}
