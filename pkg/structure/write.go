package structure

import (
	"bytes"
	"context"
	"sync"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
)

// The room kept for numbers that are known only once the frame is reserved: 10^10 entries of a task, 10^13 of a process.
const (
	numberRoom = 10
	seqRoom    = 13
)

const (
	lateKey = `,"late":true`
	timeKey = `,"time":"`
	lastKey = `,"n":`
)

// item is one entry on its way to the queue.
type item struct {
	route  *route
	level  entry.Level
	system bool // travels under the token "task"
	body   []byte
	task   *Task  // nil: outside of any task
	number uint64 // already taken; 0: taken here
	end    bool   // the number is the task's last one
	late   bool
	keys   []byte // more keys of the dlog object
	time   bool   // the dlog object says the time

	got  uint64 // the number that was taken
	keep bool   // the line is wanted back
	kept []byte
}

// put queues the entry. It reports false where the queue refused it; no number is taken then.
func (p *Process) put(it *item) bool {
	if it.task != nil && !it.end {
		it.late = it.task.ended()
	}
	room := it.room(p)
	if room > entry.MaxLine {
		return p.putLong(it)
	}
	return p.putRoom(it, room)
}

func (it *item) room(p *Process) int {
	n := len(it.body) + len(p.head) + len(p.tail) + seqRoom + len(it.keys) + len("}}\n")
	if it.task != nil {
		n += len(it.task.head) - len(p.head) + numberRoom + len(`"`)
	}
	if it.late {
		n += len(lateKey)
	}
	if it.end {
		n += len(lastKey) + numberRoom
	}
	if it.time {
		n += len(timeKey) + timeLen + len(`"`)
	}
	return n
}

func (p *Process) putRoom(it *item, room int) bool {
	f, err := p.out.Reserve(it.subject(), it.level, it.system, room)
	if err != nil {
		p.refuse(it)
		return false
	}
	b := p.appendLine(f.Line[:0:len(f.Line)], it, f.Seq)
	if len(b) > len(f.Line) { // a number with more digits than there is room for
		f.Abandon()
		return false
	}
	if it.keep {
		it.kept = append([]byte(nil), b...)
	}
	if p.cfg.Also == nil {
		f.Commit(len(b))
		return true
	}
	buf := takeBuffer()
	*buf = append(*buf, b...)
	f.Commit(len(b))
	p.also(it.level, *buf)
	giveBuffer(buf)
	return true
}

func (it *item) subject() string {
	if it.system {
		return it.route.system
	}
	return it.route.subject(it.level)
}

// appendLine writes the whole line. The number is taken here, after the reservation.
func (p *Process) appendLine(b []byte, it *item, seq uint64) []byte {
	b = append(b, it.body...)
	joinLines(b)
	head := p.head
	if it.task != nil {
		head = it.task.head
	}
	if len(it.body) == 1 { // an empty object: no comma
		head = head[1:]
	}
	b = append(b, head...)
	if it.task != nil {
		it.got = it.number
		if it.got == 0 {
			it.got = it.task.take(it.end)
		}
		b = appendUint(b, it.got)
		b = append(b, '"')
	}
	if it.late {
		b = append(b, lateKey...)
	}
	b = append(b, p.tail...)
	b = appendUint(b, seq)
	b = append(b, it.keys...)
	if it.end {
		b = append(b, lastKey...)
		b = appendUint(b, it.got)
	}
	if it.time {
		b = append(b, timeKey...)
		b = p.clock.appendNow(b)
		b = append(b, '"')
	}
	return append(b, "}}\n"...)
}

// joinLines makes one line of what raw JSON broke into several; inside a JSON string a raw line break is not possible.
func joinLines(b []byte) {
	for i := bytes.IndexByte(b, '\n'); i >= 0; i = bytes.IndexByte(b, '\n') {
		b[i] = ' '
		b = b[i+1:]
	}
}

// putLong cuts a line that is over the limit at its longest strings. Where it stands in its tree is never cut.
func (p *Process) putLong(it *item) bool {
	const object = `,"dlog":{`
	limit := entry.MaxLine - (it.room(p) - len(it.body) - len(it.keys))
	if limit < entry.MinCut {
		p.say.once("long", "an entry is refused because the path of its task is too long: %.100s…", it.task.Path())
		p.refuse(it)
		return false
	}
	line := append(append([]byte(nil), it.body...), object...)
	if len(it.body) == 1 {
		line = append(line[:1], object[1:]...)
	}
	if len(it.keys) > 0 {
		line = append(line, it.keys[1:]...)
	}
	it.body, it.keys = splitObject(entry.CutLine(nil, append(line, "}}"...), limit))
	if len(it.body) == 0 { // what raw JSON broke is not cut but refused: half a line would be nobody's entry
		p.refuse(it)
		return false
	}
	return p.putRoom(it, it.room(p))
}

// splitObject takes the dlog object from the end of a line that was cut.
func splitObject(line []byte) (body, keys []byte) {
	const start = `"dlog":{`
	line = bytes.TrimRight(line, "\n")
	i := bytes.LastIndex(line, []byte(start))
	if i < 1 || !bytes.HasSuffix(line, []byte("}}")) {
		return nil, nil
	}
	if inside := line[i+len(start) : len(line)-2]; len(inside) > 0 {
		keys = append([]byte{','}, inside...)
	}
	return bytes.TrimSuffix(line[:i], []byte(",")), keys
}

func (p *Process) refuse(it *item) {
	i := int(it.level - entry.Trace)
	if it.system {
		i = len(p.refused) - 1
	}
	if it.task != nil {
		it.task.refused[i].Add(1)
	} else {
		p.refused[i].Add(1)
	}
	if p.cfg.Also != nil { // what the queue refuses is still shown
		p.also(it.level, append(append([]byte(nil), it.body...), "}\n"...))
	}
}

func (p *Process) also(level entry.Level, line []byte) {
	l := zerolog.Level(level)
	if level == entry.None {
		l = zerolog.NoLevel
	}
	if _, err := p.cfg.Also.WriteLevel(l, line); err != nil {
		p.say.once("also", "cannot write to the second output: %v", err)
	}
}

// Write queues one line, a JSON object as zerolog writes it, in the task of ctx or outside of any. It is for handlers of other
// logging packages; the line is not kept.
func (p *Process) Write(ctx context.Context, level zerolog.Level, line []byte) {
	if p == nil {
		return
	}
	p.writeLine(TaskFrom(ctx), level, line, nil, false)
}

// writeLine queues a logger's line. keys come before those of Extra.
func (p *Process) writeLine(t *Task, level zerolog.Level, line, keys []byte, timed bool) {
	rt, body := p.routeOf(t), bodyOf(line)
	keys, timeless := p.look(level, line, keys, timed)
	if timeless || !p.putFast(rt, t, levelOf(level), body, nil, keys) {
		p.put(&item{route: rt, level: levelOf(level), body: body, task: t, keys: keys, time: timeless})
	}
}

// writeParts queues the line of a logger with the hook, without the bytes between two places: the mark. It reports false where that needs more than
// copying two parts.
func (p *Process) writeParts(t *Task, level zerolog.Level, line, keys []byte, from, to int) bool {
	n := len(line)
	if n < 3 || line[n-1] != '\n' || line[n-2] != '}' || line[0] != '{' || to > n-2 {
		return false
	}
	all, timeless := p.look(level, line, keys, false)
	if !timeless && p.putFast(p.routeOf(t), t, levelOf(level), line[:from], line[to:n-2], all) {
		return true
	}
	body := append(append([]byte(nil), line[:from]...), line[to:n-2]...)
	p.put(&item{route: p.routeOf(t), level: levelOf(level), body: body, task: t, keys: all, time: timeless})
	return true
}

func (p *Process) routeOf(t *Task) *route {
	if t == nil {
		return p.routes.outside.route
	}
	return t.node.route
}

// look asks Extra for keys and whether the line has no time.
func (p *Process) look(level zerolog.Level, line, keys []byte, timed bool) (all []byte, timeless bool) {
	if p.cfg.Extra == nil {
		return keys, false
	}
	more, timeless := p.cfg.Extra.Look(level, line, timed)
	switch {
	case len(keys) == 0:
		return more, timeless
	case len(more) == 0:
		return keys, timeless
	}
	return append(keys[:len(keys):len(keys)], more...), timeless
}

// levelOf maps zerolog's level. What zerolog does not know travels as none.
func levelOf(l zerolog.Level) entry.Level {
	if l < zerolog.TraceLevel || l > zerolog.PanicLevel {
		return entry.None
	}
	return entry.Level(l)
}

// bodyOf returns a line without its closing brace and what follows. A line that is no object becomes the message of one. It looks at both
// ends only: what zerolog wrote is an object.
func bodyOf(line []byte) []byte {
	if n := len(line); n >= 3 && line[n-1] == '\n' && line[n-2] == '}' && line[0] == '{' {
		return line[:n-2]
	}
	trimmed := bytes.TrimSpace(line)
	if n := len(trimmed); n >= 2 && trimmed[0] == '{' && trimmed[n-1] == '}' {
		return bytes.TrimRight(trimmed[:n-1], " \t\r\n")
	}
	return messageBody(trimmed)
}

func messageBody(text []byte) []byte {
	b := entry.AppendString([]byte{'{'}, zerolog.MessageFieldName)
	return entry.AppendString(append(b, ':'), string(text))
}

// objectOf returns a line of unknown origin if it is one JSON object, else an object whose message it is.
func objectOf(line []byte) []byte {
	if entry.Valid(line) == nil {
		return line
	}
	return append(messageBody(bytes.TrimSpace(line)), "}\n"...)
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 1024); return &b }}

func takeBuffer() *[]byte {
	b := buffers.Get().(*[]byte)
	*b = (*b)[:0]
	return b
}

func giveBuffer(b *[]byte) {
	if cap(*b) <= keptBytes {
		buffers.Put(b)
	}
}
