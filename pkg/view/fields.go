package view

import (
	"bytes"
	"iter"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// framing are the keys that a line shows in its own way or not at all.
func framing(key string) bool {
	switch key {
	case "level", "time", "message", entry.Key:
		return true
	}
	return false
}

// isEliot reports whether the entry is a message of Eliot, as it was written or
// with dlog's key as the agent sends it on.
func isEliot(e *entry.Entry) bool {
	if !e.HasMeta || !bytes.Contains(e.Raw, []byte(`"task_level"`)) {
		return false
	}
	_, level := e.Field("task_level")
	_, uuid := e.Field("task_uuid")
	return level && uuid
}

// eliotFraming are those of Eliot's messages.
func eliotFraming(e *entry.Entry, key string, value entry.Value) bool {
	switch key {
	case "task_uuid", "task_level", "timestamp", "action_type", "action_status", "log_level", "logger":
		return true
	case "errno": // Eliot gives it to every OSError
		return value.Kind == entry.Null
	case "message_type": // Eliot's own say where a message came from
		return strings.HasPrefix(text(value), "eliot:")
	case "error": // the agent says the reason in dlog's terms too
		reason, ok := e.Field("reason")
		return ok && text(value) == text(reason)
	}
	return false
}

// text returns the text of a string, "" for anything else.
func text(v entry.Value) string {
	if v.Kind != entry.String {
		return ""
	}
	return string(v.Text(nil))
}

// fields writes the entry's own fields as key=value, the error first: it is what
// must not fall victim to the width of the terminal.
func (p *pen) fields(e *entry.Entry) { p.chosen(e, nil) }

// chosen is fields for those that skip, which may be nil, does not leave out.
func (p *pen) chosen(e *entry.Entry, skip func(name string, value entry.Value) bool) {
	for r := first; r <= last; r++ {
		p.ranked(e, r, skip)
	}
}

// ranked writes the fields of one rank.
func (p *pen) ranked(e *entry.Entry, r rank, skip func(name string, value entry.Value) bool) {
	for name, value := range ownFields(e) {
		if p.full {
			return
		}
		if rankOf(e, name) == r && (skip == nil || !skip(name, value)) {
			p.field(name, value)
		}
	}
}

// ownFields are the fields that the program gave the entry, in their order.
func ownFields(e *entry.Entry) iter.Seq2[string, entry.Value] {
	eliot := isEliot(e)
	return func(yield func(string, entry.Value) bool) {
		var buf [256]byte
		for key, value := range entry.Members(e.Raw) {
			name := string(key.Text(buf[:0]))
			if framing(name) || eliot && eliotFraming(e, name, value) || isMessage(e, name, value) {
				continue
			}
			if !yield(name, value) {
				return
			}
		}
	}
}

// rank says how early on its line a field stands.
type rank int

const (
	first rank = iota
	middle
	last
)

// rankOf puts what went wrong first, and last what a request has beside what
// was asked and answered.
func rankOf(e *entry.Entry, name string) rank {
	switch name {
	case "error", "reason", "exception":
		return first
	case "host", "peer", "bytes":
		if e.HasMeta && e.Meta.Event != "" {
			return last
		}
	}
	return middle
}

// isMessage reports whether the field is what was shown as the message, under
// slog's name for it or Eliot's.
func isMessage(e *entry.Entry, name string, value entry.Value) bool {
	if name != "msg" && name != "message_type" || value.Kind != entry.String {
		return false
	}
	var buf [256]byte
	return string(value.Text(buf[:0])) == e.Message
}

func (p *pen) field(name string, value entry.Value) {
	p.text(none, "  ")
	p.text(dim, name+"=")
	st := none
	if name == "error" || name == "reason" {
		st = red
	}
	var buf [256]byte
	text := string(value.Text(buf[:0]))
	if value.Kind == entry.String && ambiguous(text) {
		text = `"` + strings.ReplaceAll(text, `"`, `\"`) + `"`
	}
	p.text(st, text)
}

// ambiguous reports whether a string needs quotes to be seen as one value.
func ambiguous(s string) bool {
	return s == "" || strings.ContainsAny(s, " \t\n\"=")
}
