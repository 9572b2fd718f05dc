package transport

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// A Writer sends any logger's lines, outside of any task, for programs that want the
// transport alone. It is an io.Writer and a zerolog.LevelWriter: every line becomes an
// entry under <ns>.in.<service>.<level>.- with the key dlog{svc,proc,seq} last on it. A
// line that is no JSON object becomes one, as its message. A Write may hold several
// lines; the last needs no line end.
//
// Writes never wait for the network and always succeed: what the queue has no room for
// is counted by level in its Stats. All methods may be called from several goroutines.
type Writer struct {
	t        *Transport
	subjects [entry.None - entry.Trace + 1]string
	dlog     []byte // `"dlog":{"svc":…,"proc":"…","seq":`
	keys     *entry.Keys
	scratch  sync.Pool // *scratch
}

type scratch struct {
	line  []byte
	value [1]entry.Value
	word  []byte
}

// Writer makes a writer for a service, whose name stands in the subjects. Each has its
// own process id, so that no two number their entries alike.
func (t *Transport) Writer(service string) *Writer {
	w := &Writer{t: t, keys: entry.CompileKeys([]string{"level"})}
	w.scratch.New = func() any { return new(scratch) }
	for _, level := range entry.Levels() {
		w.subjects[level-entry.Trace] = subject.In(t.cfg.Namespace, service, level.Token(), "")
	}
	w.dlog = entry.AppendString([]byte(`"dlog":{"svc":`), service)
	w.dlog = append(w.dlog, `,"proc":"`...)
	w.dlog = task.NewProcess().AppendTo(w.dlog)
	w.dlog = append(w.dlog, `","seq":`...)
	return w
}

// Write sends the lines of p. The level of a JSON line is what its "level" says; other
// lines have none.
func (w *Writer) Write(p []byte) (int, error) {
	eachLine(p, func(line []byte) {
		s := w.scratch.Get().(*scratch)
		defer w.scratch.Put(s)
		if entry.Valid(line) == nil {
			w.send(w.levelOf(line, s), line)
			return
		}
		s.line = appendMessage(s.line[:0], entry.None, line)
		w.send(entry.None, s.line)
	})
	return len(p), nil
}

// WriteLevel sends the lines of p as entries of a level: what zerolog calls.
func (w *Writer) WriteLevel(l zerolog.Level, p []byte) (int, error) {
	level := levelFrom(l)
	eachLine(p, func(line []byte) {
		if looksLikeObject(line) {
			w.send(level, line)
			return
		}
		s := w.scratch.Get().(*scratch)
		defer w.scratch.Put(s)
		s.line = appendMessage(s.line[:0], level, line)
		w.send(level, s.line)
	})
	return len(p), nil
}

// Close waits until what was written is stored, at most Config.FatalTimeout. zerolog
// calls it after a Fatal; the writer stays usable.
func (w *Writer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), w.t.cfg.FatalTimeout)
	defer cancel()
	return w.t.Flush(ctx)
}

// levelOf reads the level of a JSON line.
func (w *Writer) levelOf(line []byte, s *scratch) entry.Level {
	if w.keys.Scan(line, s.value[:]) != nil || s.value[0].Kind != entry.String {
		return entry.None
	}
	s.word = s.value[0].Text(s.word[:0])
	for _, level := range entry.Levels() { // the usual words, without making a string
		if bytes.EqualFold(s.word, []byte(level.String())) {
			return level
		}
	}
	level, _ := entry.ParseLevel(string(s.word))
	return level
}

func levelFrom(l zerolog.Level) entry.Level {
	if l < zerolog.TraceLevel || l >= zerolog.NoLevel {
		return entry.None
	}
	return entry.Level(l)
}

// looksLikeObject is enough for what zerolog made.
func looksLikeObject(line []byte) bool {
	return len(line) >= 2 && line[0] == '{' && line[len(line)-1] == '}'
}

// send appends one JSON object to the queue, with the dlog key spliced in.
func (w *Writer) send(level entry.Level, line []byte) {
	if len(line)+len(w.dlog)+maxTail > entry.MaxLine {
		line = entry.CutLine(nil, line, entry.MaxLine-len(w.dlog)-maxTail)
	}
	f, err := w.t.queue.Reserve(w.subjects[level-entry.Trace], level, false, len(line)+len(w.dlog)+maxTail)
	if err != nil {
		return // counted by the queue
	}
	f.Commit(len(w.appendEntry(f.Line[:0], line, f)))
}

// maxTail is the room for what stands behind the dlog key's constant part: a comma, the
// number, the time and the closing braces.
const maxTail = len(`,`) + 20 + len(`,"time":"2006-01-02T15:04:05.999999999Z"`) + len("}}\n")

// appendEntry is the line with the dlog key as its last.
func (w *Writer) appendEntry(dst, line []byte, f spool.Frame) []byte {
	end := bytes.LastIndexByte(line, '}')
	dst = append(dst, line[:end]...)
	if last := bytes.TrimRight(dst, " \t\r\n"); last[len(last)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, w.dlog...)
	dst = strconv.AppendUint(dst, f.Seq, 10)
	if !bytes.Contains(line, timeName) {
		dst = append(dst, `,"time":"`...)
		dst = time.Now().UTC().AppendFormat(dst, time.RFC3339Nano)
		dst = append(dst, '"')
	}
	return append(dst, "}}\n"...)
}

var timeName = []byte(`"time":`)

// appendMessage makes an entry of a line that is none.
func appendMessage(dst []byte, level entry.Level, line []byte) []byte {
	dst = append(dst, '{')
	if level != entry.None {
		dst = append(dst, `"level":"`...)
		dst = append(dst, level.String()...)
		dst = append(dst, `",`...)
	}
	dst = append(dst, `"time":"`...)
	dst = time.Now().UTC().AppendFormat(dst, time.RFC3339Nano)
	dst = append(dst, `","message":`...)
	dst = entry.AppendString(dst, string(line))
	return append(dst, '}')
}

// eachLine calls f for the lines of p that hold something, trimmed.
func eachLine(p []byte, f func(line []byte)) {
	for len(p) > 0 {
		line := p
		if i := bytes.IndexByte(p, '\n'); i >= 0 {
			line, p = p[:i], p[i+1:]
		} else {
			p = nil
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			f(line)
		}
	}
}

var _ zerolog.LevelWriter = (*Writer)(nil)
