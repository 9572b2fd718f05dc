package view

import (
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

// eliotFraming are those of Eliot's messages.
func eliotFraming(key string) bool {
	switch key {
	case "task_uuid", "task_level", "timestamp", "action_type", "action_status", "log_level", "logger":
		return true
	}
	return false
}

// fields writes the entry's own fields as key=value.
func (p *pen) fields(e *entry.Entry) {
	_, dlogs := e.Field(entry.Key)
	eliot := e.HasMeta && !dlogs
	var buf [256]byte
	for key, value := range entry.Members(e.Raw) {
		if p.full {
			return
		}
		name := string(key.Text(buf[:0]))
		if framing(name) || eliot && eliotFraming(name) || isMessage(e, name, value) {
			continue
		}
		p.field(name, value)
	}
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
