package dlog

import (
	"bytes"
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
)

// SlogHandler returns a handler for log/slog whose records stand in the task of their context. Attributes given with With are encoded once, groups
// become objects, durations are written as zerolog writes them. The options are those of slog's own handlers; nil is the zero value.
// Below the level of the options, or Config.Level where they have none, nothing is written. logr joins through logr.FromSlogHandler.
func (c *Client) SlogHandler(opts *slog.HandlerOptions) slog.Handler {
	h := &slogHandler{c: c}
	if opts != nil {
		h.opts = *opts
	}
	if h.opts.Level == nil {
		h.opts.Level = c.slogLevel()
	}
	return h
}

// slogLevel returns the level of the configuration as slog counts.
func (c *Client) slogLevel() slog.Level {
	if c == nil || c.level == zerolog.NoLevel {
		return slog.Level(math.MinInt)
	}
	return slog.Level(4 * (int(c.level) - int(zerolog.InfoLevel)))
}

// slogHandler writes records as zerolog would write them.
type slogHandler struct {
	c      *Client
	opts   slog.HandlerOptions
	attrs  []byte   // `,"key":value` of With, with the braces of opened groups
	groups []string // of WithGroup
	opened int      // how many groups are opened in attrs
}

// Enabled implements [slog.Handler].
func (h *slogHandler) Enabled(_ context.Context, level slog.Level) bool {
	return h.c != nil && level >= h.opts.Level.Level()
}

// WithGroup implements [slog.Handler].
func (h *slogHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	h2 := *h
	h2.groups = append(slices.Clip(h.groups), name)
	return &h2
}

// WithAttrs implements [slog.Handler].
func (h *slogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	e := h.encoder(slices.Clone(h.attrs))
	for _, a := range attrs {
		e.attr(a)
	}
	h2 := *h
	h2.attrs, h2.opened = e.b, e.opened
	return &h2
}

// lines holds buffers for records.
var lines = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

// Handle implements [slog.Handler].
func (h *slogHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.c == nil {
		return nil
	}
	buf := lines.Get().(*[]byte)
	e := h.encoder(append(h.begin((*buf)[:0], r.Level), h.attrs...))
	r.Attrs(func(a slog.Attr) bool {
		e.attr(a)
		return true
	})
	e.closeGroups()
	if h.opts.AddSource && r.PC != 0 {
		e.builtin(slog.Any(slog.SourceKey, sourceOf(r.PC)))
	}
	if !r.Time.IsZero() {
		e.builtin(slog.Time(slog.TimeKey, r.Time.Round(0)))
	}
	e.builtin(slog.String(slog.MessageKey, r.Message))
	e.b = append(e.b, '}', '\n')
	h.c.tasks.Write(ctx, zerologLevel(r.Level), e.b)
	if cap(e.b) <= 64<<10 {
		*buf = e.b
		lines.Put(buf)
	}
	return nil
}

// begin writes the brace and the level, which stands first as with zerolog.
func (h *slogHandler) begin(b []byte, level slog.Level) []byte {
	e := slogEncoder{h: h, b: append(b, '{')}
	if zerolog.LevelFieldName != "" {
		e.builtin(slog.Any(slog.LevelKey, level))
	}
	return e.b
}

func zerologLevel(l slog.Level) zerolog.Level {
	switch {
	case l < slog.LevelDebug:
		return zerolog.TraceLevel
	case l < slog.LevelInfo:
		return zerolog.DebugLevel
	case l < slog.LevelWarn:
		return zerolog.InfoLevel
	case l < slog.LevelError:
		return zerolog.WarnLevel
	}
	return zerolog.ErrorLevel
}

func sourceOf(pc uintptr) *slog.Source {
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return &slog.Source{Function: f.Function, File: f.File, Line: f.Line}
}

// slogEncoder appends attributes inside of groups that are opened only when something is in them.
type slogEncoder struct {
	h      *slogHandler
	b      []byte
	path   []string // groups of the record's own attributes, for ReplaceAttr
	opened int      // of h.groups
}

func (h *slogHandler) encoder(b []byte) slogEncoder { return slogEncoder{h: h, b: b, opened: h.opened} }

// attr appends an attribute of a record or of With inside of all groups of WithGroup.
func (e *slogEncoder) attr(a slog.Attr) {
	start, opened := len(e.b), e.opened
	for ; e.opened < len(e.h.groups); e.opened++ {
		e.key(e.h.groups[e.opened])
		e.b = append(e.b, '{')
	}
	inside := len(e.b)
	e.append(a)
	if len(e.b) == inside { // it was empty, and so are the groups
		e.b, e.opened = e.b[:start], opened
	}
}

func (e *slogEncoder) closeGroups() {
	for ; e.opened > 0; e.opened-- {
		e.b = append(e.b, '}')
	}
}

// append appends one attribute where the encoder stands.
func (e *slogEncoder) append(a slog.Attr) {
	a.Value = resolve(a.Value)
	if replace := e.h.opts.ReplaceAttr; replace != nil && a.Value.Kind() != slog.KindGroup {
		a = replace(e.groups(), a)
		a.Value = resolve(a.Value)
	}
	switch {
	case a.Equal(slog.Attr{}):
	case a.Value.Kind() == slog.KindGroup:
		e.group(a.Key, a.Value.Group())
	default:
		e.key(a.Key)
		e.value(a.Value)
	}
}

// groups returns the names of all groups around an attribute.
func (e *slogEncoder) groups() []string {
	if len(e.path) == 0 {
		return e.h.groups
	}
	return append(slices.Clip(e.h.groups), e.path...)
}

// group appends a group as an object, one without a name as its attributes, and one without attributes not at all.
func (e *slogEncoder) group(name string, attrs []slog.Attr) {
	if name == "" {
		for _, a := range attrs {
			e.append(a)
		}
		return
	}
	start := len(e.b)
	e.key(name)
	e.b = append(e.b, '{')
	inside := len(e.b)
	e.path = append(e.path, name)
	for _, a := range attrs {
		e.append(a)
	}
	e.path = e.path[:len(e.path)-1]
	if len(e.b) == inside {
		e.b = e.b[:start]
		return
	}
	e.b = append(e.b, '}')
}

func (e *slogEncoder) key(name string) {
	if n := len(e.b); n == 0 || e.b[n-1] != '{' {
		e.b = append(e.b, ',')
	}
	e.b = append(entry.AppendString(e.b, name), ':')
}

// builtin appends level, time, message or source: after ReplaceAttr, and under zerolog's name unless it was given another one.
func (e *slogEncoder) builtin(a slog.Attr) {
	name := a.Key
	if replace := e.h.opts.ReplaceAttr; replace != nil {
		a = replace(nil, a)
		a.Value = resolve(a.Value)
		if a.Equal(slog.Attr{}) {
			return
		}
	}
	if a.Key == name {
		a.Key = zerologName(name)
	}
	e.key(a.Key)
	switch v := a.Value.Any().(type) {
	case slog.Level:
		e.b = entry.AppendString(e.b, zerolog.LevelFieldMarshalFunc(zerologLevel(v)))
	case time.Time:
		e.b = append(e.h.c.tasks.AppendTime(append(e.b, '"'), v), '"')
	default:
		e.value(a.Value)
	}
}

func zerologName(name string) string {
	switch name {
	case slog.LevelKey:
		return zerolog.LevelFieldName
	case slog.TimeKey:
		return zerolog.TimestampFieldName
	case slog.MessageKey:
		return zerolog.MessageFieldName
	}
	return name
}

func (e *slogEncoder) value(v slog.Value) {
	switch v.Kind() {
	case slog.KindString:
		e.b = entry.AppendString(e.b, v.String())
	case slog.KindInt64:
		e.b = strconv.AppendInt(e.b, v.Int64(), 10)
	case slog.KindUint64:
		e.b = strconv.AppendUint(e.b, v.Uint64(), 10)
	case slog.KindBool:
		e.b = strconv.AppendBool(e.b, v.Bool())
	case slog.KindTime:
		e.b = append(v.Time().AppendFormat(append(e.b, '"'), time.RFC3339Nano), '"')
	default:
		e.any(v)
	}
}

// any appends what has no short form. Whatever the value's own methods do, the record is written.
func (e *slogEncoder) any(v slog.Value) {
	start := len(e.b)
	defer func() {
		if p := recover(); p != nil {
			e.b = entry.AppendString(e.b[:start], fmt.Sprintf("!PANIC: %v", p))
		}
	}()
	switch x := v.Any().(type) {
	case float64:
		e.b = appendFloat(e.b, x)
	case time.Duration:
		e.b = appendFloat(e.b, float64(x)/float64(zerolog.DurationFieldUnit))
	case *slog.Source:
		e.b = appendJSON(e.b, x)
	case json.Marshaler, encoding.TextMarshaler:
		e.b = appendJSON(e.b, x)
	case error:
		e.b = entry.AppendString(e.b, x.Error())
	case fmt.Stringer:
		e.b = entry.AppendString(e.b, x.String())
	default:
		e.b = appendJSON(e.b, x)
	}
}

func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return entry.AppendString(b, strconv.FormatFloat(f, 'g', -1, 64))
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

func appendJSON(b []byte, v any) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return entry.AppendString(b, "!ERROR: "+err.Error())
	}
	return append(b, bytes.TrimSuffix(out.Bytes(), []byte("\n"))...)
}

// resolve resolves a LogValuer; slog itself turns a panic in one into a value.
func resolve(v slog.Value) slog.Value { return v.Resolve() }
