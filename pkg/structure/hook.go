package structure

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"runtime"
	"sync"
	"sync/atomic"
	"weak"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
)

// A hook sees the context of an event but not its bytes; a writer sees the bytes but not the context. So the hook stamps a mark that the
// writer finds, takes out and follows to the task:
//
//	,"dlog":<TAB>"SSSSSSSSSSSSSSSSHHIIIIIIIIIIIIIIII"
//
// A raw tab between tokens is legal JSON, and zerolog writes none: inside strings it escapes them. What text a program logs can therefore never look like
// a mark. Raw JSON can hold tabs, so the mark begins with 64 random bits (S) that the process keeps for itself and that leave it
// in no line; HH is the hook, I the slot and generation of the task in a table.
const (
	markStart  = `"dlog":` + "\t\""
	secretLen  = 16
	hookLen    = 2
	handleLen  = 16
	markLen    = len(markStart) + secretLen + hookLen + handleLen + len(`"`)
	chunkSlots = 1 << 10
	maxChunks  = 1 << 10
	// unproven is how many marks of a hook may vanish (a later hook may discard events) before the writer is missed.
	unproven = 16
	maxHooks = 255
)

// mark is a task's entry in the table.
type mark struct {
	slot uint32
	text [handleLen]byte // slot and generation
	task weak.Pointer[Task]
}

// marks is the table of tasks that a hook has marked. It holds them weakly: an event on its way keeps its task by its context.
type marks struct {
	secret [secretLen]byte
	chunks [maxChunks]atomic.Pointer[[chunkSlots]atomic.Pointer[mark]]
	hooks  [maxHooks + 1]atomic.Pointer[Hook]
	used   atomic.Bool                       // there is a hook
	recent [recentSlots]atomic.Pointer[Task] // some of the tasks that go on: following a weak pointer takes longer

	mu         sync.Mutex // guards what follows
	free       []uint32
	next       uint32
	generation uint32
	hookCount  int
}

func (m *marks) init() {
	var b [secretLen / 2]byte
	_, _ = rand.Read(b[:])
	putHex(m.secret[:], binary.BigEndian.Uint64(b[:]))
}

// of returns the task's mark, made at its first use; nil where the table is full.
func (m *marks) of(t *Task) *mark {
	if k := t.mark.Load(); k != nil {
		return k
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if k := t.mark.Load(); k != nil {
		return k
	}
	slot, ok := m.takeSlot()
	if !ok {
		return nil
	}
	m.generation++
	k := &mark{slot: slot, task: weak.Make(t)}
	putHex(k.text[:], uint64(slot)<<32|uint64(m.generation))
	m.chunks[slot/chunkSlots].Load()[slot%chunkSlots].Store(k)
	runtime.AddCleanup(t, m.release, slot)
	t.mark.Store(k)
	return k
}

func (m *marks) takeSlot() (uint32, bool) {
	if last := len(m.free) - 1; last >= 0 {
		slot := m.free[last]
		m.free = m.free[:last]
		return slot, true
	}
	slot := m.next
	if slot >= maxChunks*chunkSlots {
		return 0, false
	}
	m.next++
	if chunk := &m.chunks[slot/chunkSlots]; chunk.Load() == nil {
		chunk.Store(new([chunkSlots]atomic.Pointer[mark]))
	}
	return slot, true
}

// release frees the slot of a task that nothing refers to any more.
func (m *marks) release(slot uint32) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.chunks[slot/chunkSlots].Load()[slot%chunkSlots].Store(nil)
	m.free = append(m.free, slot)
}

// find returns the mark with a text, nil if there is none of that generation.
func (m *marks) find(text []byte) *mark {
	slot, ok := parseHex(text[:handleLen/2])
	if !ok || slot >= maxChunks*chunkSlots {
		return nil
	}
	chunk := m.chunks[slot/chunkSlots].Load()
	if chunk == nil {
		return nil
	}
	k := chunk[slot%chunkSlots].Load()
	if k == nil || string(k.text[:]) != string(text) {
		return nil
	}
	return k
}

// recentSlots bounds the tasks that are kept besides those in use, if they never end.
const recentSlots = 64

// follow returns the task of a mark, nil where it is gone.
func (m *marks) follow(k *mark) *Task {
	if k == nil {
		return nil
	}
	recent := &m.recent[k.slot%recentSlots]
	if t := recent.Load(); t != nil && t.mark.Load() == k {
		return t
	}
	t := k.task.Value()
	if t != nil && !t.ended() {
		recent.Store(t)
	}
	return t
}

// forget lets go of a task that has ended.
func (m *marks) forget(t *Task) {
	if k := t.mark.Load(); k != nil {
		m.recent[k.slot%recentSlots].CompareAndSwap(t, nil)
	}
}

// hasMark reports whether a line may hold a mark. The fast search for one byte makes it nearly free.
func hasMark(line []byte) bool { return bytes.IndexByte(line, '\t') >= 0 }

// seek finds the first genuine mark from a place on: where its key begins and what it says.
func (m *marks) seek(line []byte, from int) (at int, hook byte, k *mark, ok bool) {
	for {
		i := bytes.IndexByte(line[from:], '\t')
		if i < 0 {
			return 0, 0, nil, false
		}
		at, from = from+i-(len(markStart)-2), from+i+1
		if hook, k, ok = m.read(line, at); ok {
			return at, hook, k, true
		}
	}
}

// read reads the mark whose key begins at a place in the line.
func (m *marks) read(line []byte, at int) (hook byte, k *mark, ok bool) {
	if at < 1 || at+markLen > len(line) || string(line[at:at+len(markStart)]) != markStart {
		return 0, nil, false
	}
	text := line[at+len(markStart) : at+markLen]
	if string(text[:secretLen]) != string(m.secret[:]) || text[len(text)-1] != '"' {
		return 0, nil, false
	}
	h, ok := parseHex(text[secretLen : secretLen+hookLen])
	return byte(h), m.find(text[secretLen+hookLen : len(text)-1]), ok
}

// bounds returns what to take out of the line with the mark whose key begins at a place: one comma, too.
func bounds(line []byte, at int) (from, to int) {
	end := at + markLen
	switch {
	case line[at-1] == ',':
		at--
	case end < len(line) && line[end] == ',':
		end++
	}
	return at, end
}

// cut takes the mark whose key begins at a place out of the line. The line itself is zerolog's and stays as it is; dst gets the rest.
func cut(dst, line []byte, at int) []byte {
	from, to := bounds(line, at)
	return append(append(dst, line[:from]...), line[to:]...)
}

// strip takes all genuine marks out of a line, without following them.
func (m *marks) strip(line []byte) []byte {
	for {
		at, hook, _, ok := m.seek(line, 0)
		if !ok {
			return line
		}
		m.prove(hook)
		line = cut(nil, line, at)
	}
}

// prove notes that lines of the hook reach a writer of ours.
func (m *marks) prove(hook byte) {
	if h := m.hooks[hook].Load(); h != nil && !h.proven.Load() {
		h.proven.Store(true)
	}
}

// Hook names the task of an event's context in the line, for the writer. Make it with [Process.Hook].
type Hook struct {
	p      *Process
	prefix [1 + len("\"") + secretLen + hookLen]byte
	proven atomic.Bool
	stamps atomic.Uint32
}

// Hook returns a hook that puts the entries of a logger into the task of their context (logger.Info().Ctx(ctx), or a logger made
// with With().Ctx(ctx)). It needs the writer of this process under it:
//
//	logger = logger.Output(p.Writer("")).Hook(p.Hook())
//
// Without the writer, entries carry a mark that means nothing to others; that is said once on stderr. [Process.Attach] does both.
func (p *Process) Hook() *Hook {
	if p == nil {
		return &Hook{}
	}
	h := &Hook{p: p}
	m := &p.marks
	m.used.Store(true)
	m.mu.Lock()
	defer m.mu.Unlock()
	id := min(m.hookCount, maxHooks)
	m.hookCount++
	if id == maxHooks { // the last number is shared, so it can no longer tell which one lacks its writer
		h.proven.Store(true)
	} else {
		m.hooks[id].Store(h)
	}
	h.prefix[0], h.prefix[1] = '\t', '"'
	n := 2 + copy(h.prefix[2:], m.secret[:])
	putHex(h.prefix[n:], uint64(id))
	return h
}

// Run implements [zerolog.Hook].
func (h *Hook) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	if h == nil || h.p == nil || e == nil {
		return
	}
	ctx := e.GetCtx()
	if c, ok := ctx.(*taskContext); ok && c == &c.t.bound { // the logger of a task: its writer knows
		return
	}
	t := TaskFrom(ctx)
	if t == nil {
		return
	}
	if t.p != h.p {
		return
	}
	k := h.p.marks.of(t)
	if k == nil {
		h.p.say.once("marks", "more than %d tasks are logged to through hooks at one time: further entries stand outside of their tasks", maxChunks*chunkSlots)
		return
	}
	var text [markLen]byte
	b := append(text[:0], h.prefix[:]...)
	b = append(b, k.text[:]...)
	e.RawJSON("dlog", append(b, '"'))
	if !h.proven.Load() && h.stamps.Add(1) == unproven {
		h.p.say.once("hook", "a logger has dlog's hook but not its writer, so its entries do not arrive; add: logger = logger.Output(d.Writer(\"\")), or use d.Attach(logger) for both")
	}
}

// Attach gives a logger that exists the writer and the hook. Its fields, hooks, level and sampler stay; where it wrote to before gets nothing any more (zerolog does not
// say where that is): see Config.Also. The name, if any, becomes the key logger of its entries.
func (p *Process) Attach(logger zerolog.Logger, name ...string) zerolog.Logger {
	if p == nil {
		return logger
	}
	first := ""
	if len(name) > 0 {
		first = name[0]
	}
	return logger.Output(p.Writer(first)).Hook(p.Hook())
}

// Logger returns a logger for what is said outside of any task, or inside by the context of an event. Name is as in Writer.
func (p *Process) Logger(name ...string) zerolog.Logger {
	if p == nil {
		return zerolog.Nop()
	}
	return p.Attach(p.base, name...)
}

// Writer returns the writer for loggers with the hook. Entries whose context had a task stand in it, all others outside of any. A name becomes the key
// logger of the entries. Close waits, with a deadline, until everything is safe; the writer stays usable.
func (p *Process) Writer(name string) zerolog.LevelWriter {
	w := &markWriter{p: p}
	if name != "" {
		w.keys = entry.AppendString([]byte(`,"logger":`), name)
	}
	return w
}

// markWriter follows marks.
type markWriter struct {
	p    *Process
	keys []byte
}

// WriteLevel implements [zerolog.LevelWriter].
func (w *markWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	n := len(line)
	if w.p == nil {
		return n, nil
	}
	at, hook, k, ok := w.p.marks.seek(line, 0)
	if !ok {
		w.p.writeLine(nil, level, line, w.keys, false)
		return n, nil
	}
	from, to := bounds(line, at)
	if !hasMark(line[to:]) {
		w.p.marks.prove(hook)
		if w.p.writeParts(w.p.marks.follow(k), level, line, w.keys, from, to) {
			return n, nil
		}
	}
	buf := takeBuffer()
	defer giveBuffer(buf)
	t, rest := w.p.marks.takeOut(*buf, line)
	if cap(rest) > 0 && &rest[:1][0] != &line[:1][0] {
		*buf = rest
	}
	w.p.writeLine(t, level, rest, w.keys, false)
	return n, nil
}

// takeOut takes out the genuine marks and returns the task of the last. The rest is in dst, or the line itself where there is none.
func (m *marks) takeOut(dst, line []byte) (t *Task, rest []byte) {
	rest = line
	for {
		at, hook, k, ok := m.seek(rest, 0)
		if !ok {
			return t, rest
		}
		m.prove(hook)
		if other := m.follow(k); other != nil {
			t = other
		}
		rest, dst = cut(dst, rest, at), nil
	}
}

// Write implements [io.Writer], for lines whose level is not told apart.
func (w *markWriter) Write(line []byte) (int, error) {
	_, _ = w.WriteLevel(levelIn(line), objectOf(line))
	return len(line), nil
}

// Close implements [io.Closer].
func (w *markWriter) Close() error {
	if w.p != nil {
		w.p.flush()
	}
	return nil
}

// levelIn reads the level of a line from where zerolog puts it, at the very beginning.
func levelIn(line []byte) zerolog.Level {
	rest, ok := bytes.CutPrefix(line, []byte(`{"`))
	if !ok || zerolog.LevelFieldName == "" || len(rest) < len(zerolog.LevelFieldName) || string(rest[:len(zerolog.LevelFieldName)]) != zerolog.LevelFieldName {
		return zerolog.NoLevel
	}
	rest, ok = bytes.CutPrefix(rest[len(zerolog.LevelFieldName):], []byte(`":"`))
	if !ok {
		return zerolog.NoLevel
	}
	word, _, _ := bytes.Cut(rest, []byte(`"`))
	if l, ok := entry.ParseLevel(string(word)); ok && l != entry.None {
		return zerolog.Level(l)
	}
	return zerolog.NoLevel
}

const lowerHex = "0123456789abcdef"

func putHex(dst []byte, v uint64) {
	for i := len(dst) - 1; i >= 0; i-- {
		dst[i] = lowerHex[v&15]
		v >>= 4
	}
}

func parseHex(s []byte) (v uint64, ok bool) {
	for _, c := range s {
		switch {
		case '0' <= c && c <= '9':
			v = v<<4 | uint64(c-'0')
		case 'a' <= c && c <= 'f':
			v = v<<4 | uint64(c-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}
