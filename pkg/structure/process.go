package structure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// defaultFlush is how long a program that is about to die (zerolog's Fatal, a panic in a goroutine of Go) waits for its entries to be sent.
const defaultFlush = 3 * time.Second

// ErrBinaryLog says that the program is built with zerolog's tag binary_log. Lines are CBOR then, and dlog's key cannot be added to them.
var ErrBinaryLog = errors.New("this program is built with zerolog's tag binary_log (CBOR lines); build it without the tag")

// Config says how tasks are written. The zero value writes nowhere.
type Config struct {
	// Service names the program in subjects and lines. Default: the program's name.
	Service string
	// Namespace is the first token of subjects. Default "dlog".
	Namespace string
	// Out takes the entries. Default: nowhere; see [Writer].
	Out spool.Appender
	// Base is what loggers are derived from where the context has none. Default: every level, time with microseconds.
	Base *zerolog.Logger
	// Level is the lowest level that loggers derived from Base let through. Default: Base's own.
	Level *zerolog.Level
	// Extra adds keys to the dlog object of each entry from a logger, the caller for instance. Default: none.
	Extra Extra
	// Also gets every line too, complete, after it is queued. It must be safe for concurrent use. Default: nothing.
	Also zerolog.LevelWriter
	// Flush waits until what was logged is safe; zerolog's Fatal and a panic that ends the program call it, with a deadline. Default: nothing.
	Flush func(context.Context) error
	// FlushTimeout is that deadline. Default 3 s.
	FlushTimeout time.Duration
	// TraceContext returns the trace and the span that a stranger (an OpenTelemetry SDK, say) keeps in the context. An outermost task continues
	// them. Default: not asked.
	TraceContext func(context.Context) (trace [16]byte, span [8]byte, ok bool)
	// Parent is what each outermost Start continues, as a parent process hands it over: a token, a W3C traceparent or a task id of Eliot's.
	// Default: nothing.
	Parent string
	// Paths is how many distinct paths get subjects of their own. Default 300.
	Paths int
	// Stderr gets advice to the developer, each piece once. Default: os.Stderr.
	Stderr io.Writer
}

// Extra looks at an entry before it is queued. It is called in the logger's goroutine and must neither block nor allocate on its usual way.
type Extra interface {
	// Look returns keys for the dlog object, encoded as `,"key":value`, and whether the line has no time. The keys must not change afterwards.
	// timed says that the line is known to have a time.
	Look(level zerolog.Level, line []byte, timed bool) (keys []byte, timeless bool)
}

// Process is one run of a program whose tasks and entries have a common identity. Make it with [New]. All methods are safe
// for concurrent use; those of a nil Process do what they can without it: functions run, entries go nowhere.
type Process struct {
	cfg    Config
	id     task.Process
	out    spool.Appender
	base   zerolog.Logger
	say    sayer
	clock  clock
	routes *routes
	marks  marks
	parent string // what outermost tasks claim; zero: nothing

	head []byte // `,"dlog":{"svc":"…"`
	tail []byte // `,"proc":"…","seq":`

	open      atomic.Int64
	seqDigits atomic.Int32                                   // length of the greatest number that was seen
	refused   [int(entry.None-entry.Trace) + 2]atomic.Uint64 // by level, the last for task entries; outside of tasks only
}

// New makes a process. The error is ErrBinaryLog or says what is wrong with the namespace.
func New(cfg Config) (*Process, error) {
	if err := checkJSON(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	if err := subject.CheckNamespace(cfg.Namespace); err != nil {
		return nil, fmt.Errorf("start process: %w", err)
	}
	p := &Process{cfg: cfg, id: task.NewProcess(), out: cfg.Out, say: sayer{out: cfg.Stderr}}
	p.routes = newRoutes(cfg.Namespace, cfg.Service, cfg.Paths, &p.say)
	p.head = entry.AppendString([]byte(`,"dlog":{"svc":`), cfg.Service)
	p.tail = append(p.id.AppendTo([]byte(`,"proc":"`)), `","seq":`...)
	p.marks.init()
	p.seqDigits.Store(1)
	if cfg.Base != nil {
		p.base = *cfg.Base
	} else {
		p.base = zerolog.New(nil).Hook(&timeHook{&p.clock})
	}
	if cfg.Level != nil {
		p.base = p.base.Level(*cfg.Level)
	}
	p.parent = p.checkParent(cfg.Parent)
	return p, nil
}

func (c Config) withDefaults() Config {
	if c.Service == "" {
		c.Service = programName()
	}
	if c.Namespace == "" {
		c.Namespace = "dlog"
	}
	if c.Out == nil {
		c.Out = Writer(io.Discard)
	}
	if c.FlushTimeout <= 0 {
		c.FlushTimeout = defaultFlush
	}
	if c.Paths <= 0 {
		c.Paths = defaultPaths
	}
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	return c
}

func programName() string {
	if len(os.Args) == 0 || os.Args[0] == "" {
		return "unknown"
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}

// checkJSON finds out which encoding zerolog was built with by writing one line.
func checkJSON() error {
	var line bytes.Buffer
	l := zerolog.New(&line)
	l.Log().Send()
	if b := line.Bytes(); len(b) > 0 && b[0] != '{' {
		return ErrBinaryLog
	}
	return nil
}

// checkParent reads the token of a parent process; one that is garbage is said and forgotten.
func (p *Process) checkParent(token string) string {
	if token == "" {
		return ""
	}
	if _, err := linkTarget(token); err != nil {
		p.say.once("parent", "the parent process handed over a token that cannot be read: %v", err)
		return ""
	}
	return token
}

// ID returns the identity of this run.
func (p *Process) ID() task.Process {
	if p == nil {
		return task.Process{}
	}
	return p.id
}

// Service returns the name under which entries travel.
func (p *Process) Service() string {
	if p == nil {
		return ""
	}
	return p.cfg.Service
}

// Open returns how many tasks have begun and not ended.
func (p *Process) Open() int {
	if p == nil {
		return 0
	}
	return int(p.open.Load())
}

// Advise says something to the developer on stderr, once per topic.
func (p *Process) Advise(topic, format string, args ...any) {
	if p != nil {
		p.say.once(topic, format, args...)
	}
}

// AppendTime appends t as entries have it: RFC 3339 in UTC with microseconds.
func (p *Process) AppendTime(dst []byte, t time.Time) []byte {
	if p == nil {
		return t.UTC().AppendFormat(dst, "2006-01-02T15:04:05.000000Z07:00")
	}
	return p.clock.append(dst, t)
}

// flush waits for what was logged, at most FlushTimeout.
func (p *Process) flush() {
	if p.cfg.Flush == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.FlushTimeout)
	defer cancel()
	if err := p.cfg.Flush(ctx); err != nil {
		p.say.once("flush", "the program ends before all entries were sent: %v", err)
	}
}

// timeHook gives lines a time with microseconds, which zerolog's own hook does only after a change of its global settings.
type timeHook struct{ clock *clock }

// Run implements [zerolog.Hook].
func (h *timeHook) Run(e *zerolog.Event, _ zerolog.Level, _ string) {
	var text [timeLen + 2]byte
	b := append(text[:0], '"')
	b = h.clock.appendNow(b)
	e.RawJSON(zerolog.TimestampFieldName, append(b, '"'))
}
