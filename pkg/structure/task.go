package structure

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// endedBit marks a task's counter once its end entry has taken its number.
const endedBit = 1 << 63

// Task is a goal: it begins, has entries and sub-tasks, and ends with an outcome. Make it with [Process.Start] or [Process.Import]. It may be used
// from any number of goroutines; the methods of a nil Task do nothing.
type Task struct {
	count atomic.Uint64 // numbers taken, and endedBit

	p       *Process
	trace   task.Trace
	pos     task.Position
	node    *node
	started time.Time
	ctx     taskContext // what Start returned
	bound   taskContext // what the events of its logger carry: the hook knows by it that nothing need be marked
	w       boundWriter

	head   []byte // `,"dlog":{"svc":"…","trace":"…","path":"…","pos":"2.`
	fields []byte // the start fields, encoded

	derive sync.Once       // guards source and logger
	source *zerolog.Logger // what the logger was made of, and those of sub-tasks are: a logger that is bound already costs a copy of its context
	logger zerolog.Logger

	done    atomic.Bool
	refused [int(entry.None-entry.Trace) + 2]atomic.Uint64
	mark    atomic.Pointer[mark]

	mu    sync.Mutex // guards added and links
	added []byte     // fields for the end entry, encoded
	links []string

	room [224]byte // head and fields, where they fit
}

// place is where a task stands.
type place struct {
	trace task.Trace
	pos   task.Position
	node  *node
}

// Start begins a task: below the task of ctx, or an outermost one where ctx has none. The fields stand on its start and its end entry. The
// context that is returned carries the task and its logger; end the task with
//
//	defer t.End(&err)
//
// The name says what is being achieved, never for whom: it is part of the subject, so ids belong in fields.
func (p *Process) Start(ctx context.Context, name string, fields ...Field) (context.Context, *Task) {
	if ctx == nil {
		ctx = context.Background()
	}
	if p == nil {
		return ctx, nil
	}
	if parent := TaskFrom(ctx); parent != nil {
		return p.begin(ctx, p.below(parent, name), fields)
	}
	return p.begin(ctx, p.outermost(ctx, name), fields)
}

// below takes a number of the parent for a sub-task.
func (p *Process) below(parent *Task, name string) place {
	node := parent.node
	if parent.p != p {
		node = p.routes.within(node.path)
	}
	pl := place{trace: parent.trace, pos: parent.pos.Child(parent.take(false)), node: p.routes.child(node, name)}
	if len(pl.pos) > task.MaxPosition-64 {
		p.say.once("deep", "the task %q stands too deep for a position (tasks that start each other without end?): it begins a new trace", name)
		pl.trace, pl.pos = task.NewTrace(), ""
	}
	return pl
}

// outermost finds what an outermost task continues: the parent process, a stranger's span, or nothing.
func (p *Process) outermost(ctx context.Context, name string) place {
	if p.parent != "" {
		if at, err := p.continued(p.parent, name); err == nil {
			return at
		}
	}
	if p.cfg.TraceContext != nil {
		if trace, span, ok := p.cfg.TraceContext(ctx); ok {
			return p.foreign(trace, span, name)
		}
	}
	return p.fresh(name)
}

func (p *Process) fresh(name string) place {
	return place{trace: task.NewTrace(), node: p.routes.child(p.routes.root, name)}
}

func (p *Process) begin(ctx context.Context, at place, fields []Field) (context.Context, *Task) {
	t := &Task{p: p, trace: at.trace, pos: at.pos, node: at.node, started: time.Now()}
	t.ctx = taskContext{Context: ctx, t: t}
	t.bound = t.ctx
	t.w.t = t
	t.build(fields)
	t.count.Store(1) // the start entry's number is 1 even if the queue refuses it
	p.open.Add(1)
	t.say(entry.Start, zerolog.DebugLevel, t.node.name, 1, nil)
	if loggerKey == nil {
		return t.Logger().WithContext(&t.ctx), t
	}
	return &t.ctx, t
}

// build encodes what all entries of the task have in common.
func (t *Task) build(fields []Field) {
	b := append(t.room[:0], t.p.head...)
	b = append(b, `,"trace":"`...)
	b = t.trace.AppendTo(b)
	b = append(b, t.node.mid...)
	if t.pos != "" {
		b = append(b, t.pos...)
		b = append(b, '.')
	}
	n := len(b)
	b = appendFields(b, fields)
	t.head, t.fields = b[:n:n], b[n:]
	for i := range fields {
		if fields[i].kind == fieldLink {
			t.Link(fields[i].str)
		}
	}
}

// take takes the next number; the end entry's take marks the task as ended.
func (t *Task) take(end bool) uint64 {
	if !end {
		return t.count.Add(1) &^ endedBit
	}
	for {
		old := t.count.Load()
		if t.count.CompareAndSwap(old, (old+1)|endedBit) {
			return (old + 1) &^ endedBit
		}
	}
}

// ended reports whether the task's end entry has taken its number.
func (t *Task) ended() bool { return t.count.Load()&endedBit != 0 }

// say writes an entry of the task itself under the token "task". A number of 0 is taken here and returned, 0 where the queue
// refuses the entry.
func (t *Task) say(event entry.Event, level zerolog.Level, message string, number uint64, more []byte) uint64 {
	body, keys := takeBuffer(), takeBuffer()
	defer giveBuffer(body)
	defer giveBuffer(keys)
	var fields []byte
	if event == entry.Start {
		fields = t.fields
	}
	now := t.started
	if event != entry.Start {
		now = time.Now()
	}
	*body = t.appendBody(*body, now, level, message, fields, nil)
	*keys = appendEvent(*keys, event)
	*keys = t.appendLinks(*keys)
	*keys = append(*keys, more...)
	it := item{route: t.node.route, level: levelOf(level), system: true, body: *body, task: t, number: number, keys: *keys}
	t.p.put(&it)
	return it.got
}

// appendBody writes the object of a task entry, without its closing brace.
func (t *Task) appendBody(b []byte, now time.Time, level zerolog.Level, message string, fields, more []byte) []byte {
	b = append(b, '{')
	n := len(b)
	if zerolog.LevelFieldName != "" {
		b = append(b, ',')
		b = entry.AppendString(b, zerolog.LevelFieldName)
		b = append(b, ':')
		b = entry.AppendString(b, zerolog.LevelFieldMarshalFunc(level))
	}
	b = append(b, fields...)
	b = append(b, more...)
	b = append(b, ',')
	b = entry.AppendString(b, zerolog.TimestampFieldName)
	b = append(b, ':', '"')
	b = t.p.clock.append(b, now)
	b = append(b, '"', ',')
	b = entry.AppendString(b, zerolog.MessageFieldName)
	b = append(b, ':')
	b = entry.AppendString(b, message)
	return append(b[:n], b[n+1:]...) // the first comma
}

func appendEvent(b []byte, event entry.Event) []byte {
	b = append(b, `,"event":"`...)
	b = append(b, event...)
	return append(b, '"')
}

// Logger returns the logger of the task: what zerolog.Ctx returns for its context. It is derived from the logger that the context of
// Start had, so its fields, hooks, level and sampler hold; only where lines go is changed. A nil task's logger is disabled.
func (t *Task) Logger() *zerolog.Logger {
	if t == nil {
		return zerolog.Ctx(context.Background())
	}
	t.derive.Do(func() {
		t.source, t.w.timed = t.findSource()
		t.logger = t.source.Output(&t.w).With().Ctx(&t.bound).Logger()
	})
	return &t.logger
}

// findSource returns what the task's logger is derived from, and whether its lines are known to have a time.
func (t *Task) findSource() (source *zerolog.Logger, timed bool) {
	outer := t.ctx.Context
	l := zerolog.Ctx(outer)
	if parent := TaskFrom(outer); parent != nil {
		if l == &parent.logger {
			return parent.source, parent.w.timed
		}
		return l, false
	}
	if l.GetLevel() != zerolog.Disabled {
		return l, false
	}
	return &t.p.base, t.p.cfg.Base == nil
}

// Context returns the context that Start returned: it carries the task and its logger.
func (t *Task) Context() context.Context {
	if t == nil {
		return context.Background()
	}
	return &t.ctx
}

// Trace returns the id of the tree that the task belongs to, zero for a nil task.
func (t *Task) Trace() task.Trace {
	if t == nil {
		return task.Trace{}
	}
	return t.trace
}

// Position returns where the task stands in its tree, "" for the outermost.
func (t *Task) Position() task.Position {
	if t == nil {
		return ""
	}
	return t.pos
}

// Path returns the names from the outermost task down to this one, as entries have it in dlog.path.
func (t *Task) Path() string {
	if t == nil {
		return ""
	}
	return t.node.path
}

// Add gives the end entry more fields: what is known only once the work is done. After the end it does nothing.
func (t *Task) Add(fields ...Field) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.added = appendFields(t.added, fields)
}

// boundWriter is where a task's own logger writes: no search and no lookup is needed to know the task.
type boundWriter struct {
	t     *Task
	timed bool
}

// WriteLevel implements [zerolog.LevelWriter].
func (w *boundWriter) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	n := len(line)
	if w.t.p.marks.used.Load() && hasMark(line) { // the logger has the hook too, and the event another context
		line = w.t.p.marks.strip(line)
	}
	w.t.p.writeLine(w.t, level, line, nil, w.timed)
	return n, nil
}

// Write implements [io.Writer], for lines whose level is not told apart.
func (w *boundWriter) Write(line []byte) (int, error) {
	_, _ = w.WriteLevel(levelIn(line), objectOf(line))
	return len(line), nil
}

// Close implements [io.Closer]: zerolog's Fatal calls it before the program ends. The writer stays usable.
func (w *boundWriter) Close() error {
	w.t.p.flush()
	return nil
}
