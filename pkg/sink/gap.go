package sink

import (
	"fmt"
	"strconv"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// The names of streams that are not the router's destinations.
const (
	streamIn   = "in"
	streamDead = "dead"
)

// service is what dlog's own records of sinks carry as their service.
const service = "dlog-sink"

// gap makes the records of what a sink did not get.
type gap struct {
	ns, stream  string
	at          time.Time // the store time of the first message behind it
	first, last uint64    // the sequences that are not there
	entries     uint64
	exact       bool // entries is the number, not only a lower bound
}

// subject is where a task entry without a path of this service would stand.
func (g gap) subject() string {
	switch g.stream {
	case streamIn:
		return subject.In(g.ns, service, subject.TaskLevel, "")
	case streamDead:
		return subject.Dead(g.ns, "gap", service)
	}
	return subject.To(g.ns, g.stream, service, subject.TaskLevel, "")
}

// expired is the record of messages that limits removed before they were read.
func (g gap) expired() []byte {
	messages := g.last - g.first + 1
	what := plural(messages, "message", "messages")
	fields := `"stream":` + quote(g.stream) + fmt.Sprintf(`,"first":%d,"last":%d,"messages":%d`, g.first, g.last, messages)
	switch {
	case g.exact:
		what += " (" + plural(g.entries, "entry", "entries") + ")"
		fields += fmt.Sprintf(`,"entries":%d`, g.entries)
	case g.entries > 0:
		what += " (at least " + plural(g.entries, "entry", "entries") + ")"
		fields += fmt.Sprintf(`,"entries_at_least":%d`, g.entries)
	}
	return g.line(fields, what+" of stream "+g.stream+" expired before this sink stored them", "expired")
}

// epoch is the record of a stream that was rolled back or made anew.
func (g gap) epoch(why string, number uint64) []byte {
	fields := `"stream":` + quote(g.stream) + fmt.Sprintf(`,"epoch":%d`, number)
	return g.line(fields, "stream "+g.stream+" was "+why+"; what it held since and lost is not here", "epoch")
}

func (g gap) line(fields, message, reason string) []byte {
	var b []byte
	b = append(b, `{"level":"warn",`...)
	b = append(b, fields...)
	b = append(b, `,"time":`...)
	b = append(b, quote(g.at.UTC().Format(time.RFC3339Nano))...)
	b = append(b, `,"message":`...)
	b = append(b, quote(message)...)
	b = append(b, `,"dlog":{"svc":"`+service+`","event":"`+string(entry.Gap)+`","reason":"`+reason+`"}}`...)
	return b
}

func plural(n uint64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.FormatUint(n, 10) + " " + many
}

func quote(s string) string { return string(entry.AppendString(nil, s)) }
