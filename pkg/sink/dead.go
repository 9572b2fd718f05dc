package sink

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// deadEntry makes an entry of a dead letter, for sinks that read the stream of these: whatever the letter holds, it becomes one JSON
// object that says why it is dead. It never becomes a dead letter again.
func deadEntry(d delivery, p stream.Pack) Entry {
	h := d.msg.Header
	reason, _, _ := strings.Cut(h.Get(stream.HdrReason), ":")
	b := []byte(`{"level":"error","time":` + quote(p.Time.Format(time.RFC3339Nano)))
	for _, f := range [...]struct{ key, value string }{
		{"reason", h.Get(stream.HdrReason)},
		{"rule", h.Get(stream.HdrRule)},
		{"sink", h.Get(HdrSink)},
		{"subject", h.Get(stream.HdrSubject)},
		{"sequence", h.Get(stream.HdrSeq)},
	} {
		if f.value != "" {
			b = fmt.Appendf(b, `,"%s":%s`, f.key, quote(f.value))
		}
	}
	data := bytes.TrimSpace(d.msg.Data)
	if entry.Valid(data) == nil && !bytes.ContainsAny(data, "\r\n") {
		b = append(append(b, `,"entry":`...), data...)
	} else {
		b = append(append(b, `,"raw":`...), quote(string(data))...)
	}
	b = append(append(b, `,"message":`...), quote("dead letter: "+reason)...)
	return Entry{Line: append(b, '}'), Subject: p.Subject, Seq: p.Seq, Time: p.Time}
}
