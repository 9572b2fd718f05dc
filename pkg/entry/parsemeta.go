package entry

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/dlog-fabric/dlog/pkg/task"
)

var (
	errNoObject = errors.New("must be an object")
	errNoText   = errors.New("must be a string")
	errNoCount  = errors.New("must be an integer from 0 to 2^64-1")
	errNoNumber = errors.New("must be a number")
	errNoBool   = errors.New("must be true or false")
	errNoTexts  = errors.New("must be a list of strings")
	errNoErrors = errors.New("must be a list of objects with type and text")
	errNoCounts = errors.New("must be an object of counts")
	errEmptyPos = errors.New("must not be empty")
	errHalf     = errors.New("trace and pos must come together")
	errOutcome  = errors.New("is no known outcome")
)

// ParseMeta reads the JSON object that stands under "dlog". The error says which key lies.
// A null counts as absent; keys that it does not know are kept in Other.
func ParseMeta(object []byte) (Meta, error) {
	s := scan{b: object}
	if s.line(nil, nil) != nil {
		return Meta{}, fmt.Errorf("read dlog: %w", errNoObject)
	}
	return parseMeta(object)
}

// parseMeta reads an object that is known to be valid JSON.
func parseMeta(object []byte) (Meta, error) {
	r := metaReader{text: string(object)}
	for name, value := range Members(object) {
		var buf [32]byte
		key := name.Text(buf[:0])
		if value.Kind == Null {
			continue
		}
		if err := r.field(key, value); err != nil {
			return Meta{}, fmt.Errorf("read dlog.%s: %w", string(key[:min(len(key), 40)]), err)
		}
	}
	if (r.m.Trace == "") != (r.m.Pos == "") {
		return Meta{}, fmt.Errorf("read dlog: %w", errHalf)
	}
	return r.m, nil
}

// metaReader reads the object under "dlog". It holds the text once as a string, so that the
// fields of Meta, which hardly ever hold escapes, are parts of it and cost nothing each.
type metaReader struct {
	text string
	m    Meta
}

func (r *metaReader) field(key []byte, v Value) error {
	m := &r.m
	switch string(key) {
	case "svc":
		return r.str(&m.Svc, v)
	case "trace":
		return checked(r, &m.Trace, v, task.ParseTrace)
	case "path":
		return r.str(&m.Path, v)
	case "pos":
		return checked(r, &m.Pos, v, parsePos)
	case "proc":
		return checked(r, &m.Proc, v, task.ParseProcess)
	case "seq":
		return count(&m.Seq, v)
	case "event":
		return r.str((*string)(&m.Event), v)
	case "outcome":
		return checked(r, (*string)(&m.Outcome), v, parseOutcome)
	case "elapsed_ms":
		return m.elapsed(v)
	case "n":
		return count(&m.N, v)
	case "errors":
		return r.chain(v)
	case "stack":
		return r.str(&m.Stack, v)
	case "links":
		return r.links(v)
	case "caller":
		return r.str(&m.Caller, v)
	case "func":
		return r.str(&m.Func, v)
	case "logger":
		return r.str(&m.Logger, v)
	case "cut":
		return r.str(&m.Cut, v)
	case "started":
		return r.str(&m.Started, v)
	case "refused":
		return m.refused(v)
	case "late":
		return m.late(v)
	case "time":
		return r.str(&m.Time, v)
	}
	return m.other(string(key), v)
}

// metaNames are the keys of field: what Other may not hold.
var metaNames = []string{
	"svc", "trace", "path", "pos", "proc", "seq", "event", "outcome", "elapsed_ms", "n", "errors",
	"stack", "links", "caller", "func", "logger", "cut", "started", "refused", "late", "time",
}

func (r *metaReader) str(into *string, v Value) error {
	if v.Kind != String {
		return errNoText
	}
	if inner := v.Raw[1 : len(v.Raw)-1]; plainText(inner) {
		*into = r.text[v.At()+1:][:len(inner)]
		return nil
	}
	*into = string(v.Text(nil))
	return nil
}

// checked reads a string that parse accepts.
func checked[T any](r *metaReader, into *string, v Value, parse func(string) (T, error)) error {
	if err := r.str(into, v); err != nil {
		return err
	}
	_, err := parse(*into)
	return err
}

// parsePos refuses "", which is no entry's position.
func parsePos(s string) (task.Position, error) {
	if s == "" {
		return "", errEmptyPos
	}
	return task.ParsePosition(s)
}

func parseOutcome(s string) (task.Outcome, error) {
	if o, ok := task.ParseOutcome(s); ok {
		return o, nil
	}
	return "", errOutcome
}

func count(into *uint64, v Value) error {
	n, ok := v.Uint()
	if !ok {
		return errNoCount
	}
	*into = n
	return nil
}

func (m *Meta) elapsed(v Value) error {
	m.ElapsedMS, m.HasElapsed = v.Number()
	if !m.HasElapsed {
		return errNoNumber
	}
	return nil
}

func (m *Meta) late(v Value) error {
	late, ok := v.Bool()
	if !ok {
		return errNoBool
	}
	m.Late = late
	return nil
}

func (r *metaReader) links(v Value) error {
	if v.Kind != Array {
		return errNoTexts
	}
	r.m.Links = nil
	for e := range Elements(v.Raw) {
		if e.Kind != String {
			return errNoTexts
		}
		r.m.Links = append(r.m.Links, textOf(e))
	}
	return nil
}

func (r *metaReader) chain(v Value) error {
	if v.Kind != Array {
		return errNoErrors
	}
	r.m.Errors = nil
	for e := range Elements(v.Raw) {
		if e.Kind != Object {
			return errNoErrors
		}
		kind, text := member(e.Raw, "type"), member(e.Raw, "text")
		if kind.Kind != String && kind.Present() || text.Kind != String {
			return errNoErrors
		}
		r.m.Errors = append(r.m.Errors, ErrorInfo{Type: textOf(kind), Text: textOf(text)})
	}
	return nil
}

func (m *Meta) refused(v Value) error {
	if v.Kind != Object {
		return errNoCounts
	}
	m.Refused = make(map[string]uint64)
	for name, value := range Members(v.Raw) {
		n, ok := value.Uint()
		if !ok {
			return errNoCounts
		}
		m.Refused[textOf(name)] = n
	}
	return nil
}

func (m *Meta) other(key string, v Value) error {
	if m.Other == nil {
		m.Other = make(map[string]json.RawMessage)
	}
	m.Other[key] = slices.Clone(v.Raw)
	return nil
}
