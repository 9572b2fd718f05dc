package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/record"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// An Outlet carries lines of other programs into dlog: a queue, the sender that empties it, and the process in whose name entries are
// numbered. Make it with Open and end it with Close. Pipe and Exec may be called once, one of them.
type Outlet struct {
	cfg   Config
	cal   calendar
	queue spool.Queue
	out   *transport.Transport
	proc  *structure.Process
	beats *beats

	mu       sync.Mutex // guards all below; whoever holds it writes an entry
	streams  []*stream
	closed   bool
	idle     *time.Timer
	quiet    time.Time // when what is held has waited long enough
	adding   *draft    // whose keys the entry in hand gets
	subjects subjects
	scratch  []byte
	pacer    pacer
}

// Open starts an outlet. It needs no server: entries wait in the queue until there is one. The error says what is wrong with the
// configuration.
func Open(cfg Config) (*Outlet, error) {
	cfg = cfg.withDefaults()
	o := &Outlet{cfg: cfg, cal: calendar{now: time.Now, zone: cfg.Zone}}
	o.subjects = subjects{ns: cfg.Namespace, say: o.say}
	o.openQueue()
	var err error
	o.out, err = transport.Open(transport.Config{
		URL: cfg.URL, Creds: cfg.Creds, CA: cfg.CA, Name: "dlog-agent " + cfg.Service, Namespace: cfg.Namespace, Queue: o.queue, Report: o.say,
	})
	if err == nil {
		o.proc, err = structure.New(structure.Config{
			Service: cfg.Service, Namespace: cfg.Namespace, Out: o.out, Extra: extra{o}, Stderr: cfg.Stderr,
		})
	}
	if err == nil {
		err = o.born()
	}
	if err != nil {
		o.abandon()
		return nil, err
	}
	o.idle = time.AfterFunc(time.Hour, o.flushIdle)
	o.idle.Stop()
	o.pacer = pacer{out: o.out}
	o.beats = startBeats(o)
	o.adopt()
	return o, nil
}

func (o *Outlet) openQueue() {
	if o.cfg.Spool == "" {
		o.queue = spool.NewMemory(spool.Config{Bytes: o.cfg.QueueBytes})
		return
	}
	var err error
	if o.queue, err = spool.OpenOrMemory(spool.Config{Dir: o.cfg.Spool, Bytes: o.cfg.QueueBytes}); err != nil {
		o.say(fmt.Sprintf("%v; entries wait in %s", err, o.queue.Where()))
	}
}

// abandon gives up what Open has begun; nothing was written to it.
func (o *Outlet) abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if o.out != nil {
		_ = o.out.Close(ctx)
	}
	_ = o.queue.Close()
}

func (o *Outlet) say(line string) { fmt.Fprintf(o.cfg.Stderr, "dlog-agent: %s\n", line) }

// born says what all entries have in common: this machine and this command.
func (o *Outlet) born() error {
	rec, err := record.New(record.Config{Service: o.cfg.Service, Caller: "never"})
	if err != nil {
		return err
	}
	line, err := rec.Birth()
	if err != nil {
		return err
	}
	if written, ok := o.proc.Event(entry.Birth, zerolog.InfoLevel, line); ok {
		return o.queue.SetBirth(written)
	}
	return nil
}

// extra adds the keys of the draft in hand to the dlog key of its entry.
type extra struct{ o *Outlet }

// Look implements structure.Extra. It is called while put holds the lock.
func (x extra) Look(zerolog.Level, []byte, bool) (keys []byte, timeless bool) {
	if r := x.o.adding; r != nil {
		return r.keys, r.timeless
	}
	return nil, true
}

// put writes the entry of a draft. The context says in which task those without a place of their own stand. The caller holds the lock.
func (o *Outlet) put(ctx context.Context, r *draft) {
	o.pacer.before(len(r.body) + len(r.keys))
	switch {
	case r.place == nowhere:
		level := zerolog.Level(r.level)
		if r.level == entry.None {
			level = zerolog.NoLevel
		}
		o.adding = r
		o.proc.Write(ctx, level, r.body)
		o.adding = nil
	case r.kept:
		o.putOwn(r)
	default:
		o.putMeta(r)
	}
}

// putOwn writes a line that has its place, as it is.
func (o *Outlet) putOwn(r *draft) {
	service := r.meta.Svc
	if service == "" {
		service = o.cfg.Service
	}
	line := r.body
	if len(line) > entry.MaxLine {
		line = entry.CutLine(nil, line, entry.MaxLine)
	}
	if f, err := o.out.Reserve(o.subjects.of(service, r), r.level, r.frames, len(line)+1); err == nil {
		f.Line[copy(f.Line, line)] = '\n'
		f.Commit(len(line) + 1)
	}
}

// putMeta writes a line with a dlog key made of the draft's meta.
func (o *Outlet) putMeta(r *draft) {
	m := &r.meta
	m.Svc, m.Proc, m.Seq = o.cfg.Service, o.proc.ID().String(), math.MaxUint64
	o.scratch = entry.AppendMeta(o.scratch[:0], *m)
	room := len(r.body) + len(`,"":`) + len(entry.Key) + len(o.scratch) + len("}\n")
	f, err := o.out.Reserve(o.subjects.of(m.Svc, r), r.level, r.frames, min(room, entry.MaxLine))
	if err != nil {
		return
	}
	m.Seq = f.Seq
	line := f.Line[:0:len(f.Line)]
	if room <= entry.MaxLine {
		line, _ = entry.AppendLine(line, r.body, *m)
	} else {
		whole, _ := entry.AppendLine(nil, r.body, *m)
		line = entry.CutLine(line, whole, entry.MaxLine-1)
	}
	line = append(line, '\n')
	if len(line) > len(f.Line) {
		f.Abandon()
		return
	}
	f.Commit(len(line))
}

// flushIdle writes the entries of text for which nothing came in time. The timer may have been set for what was held before, and have waited
// for the lock since: then it is set again.
func (o *Outlet) flushIdle() {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch left := time.Until(o.quiet); {
	case o.closed:
	case left > 0:
		o.idle.Reset(left)
	default:
		o.flushAll()
	}
}

// flushHeld writes the entries of text that waited for more.
func (o *Outlet) flushHeld() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flushAll()
}

// flushAll writes what the streams hold, in the order in which it was read.
func (o *Outlet) flushAll() {
	for {
		var first *stream
		for _, s := range o.streams {
			if s.dec.held.some && (first == nil || s.dec.held.at.Before(first.dec.held.at)) {
				first = s
			}
		}
		if first == nil {
			return
		}
		first.dec.flush()
	}
}

// Close writes what is held, says that the process ends, and sends what waits until ctx ends. The error, a line each, says what was
// not stored: entries that were refused because the queue was full, and those that stay in it.
func (o *Outlet) Close(ctx context.Context) error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	o.flushAll()
	o.closed = true
	o.idle.Stop()
	o.mu.Unlock()
	o.beats.stop()
	o.proc.Event(entry.Death, zerolog.InfoLevel, o.sign("death"))
	err := o.out.Close(ctx)
	return errors.Join(refusals(o.queue.Stats()), left(err), o.queue.Close())
}

// left makes one short line of what a transport says that closes with entries in its queue.
func left(err error) error {
	var l *transport.LeftError
	if !errors.As(err, &l) {
		return err
	}
	where := "wait in " + l.Where
	if strings.HasPrefix(l.Where, "memory") {
		where = "are lost"
	}
	if why, _, _ := strings.Cut(l.Last, "; entries wait"); why != "" {
		where += ": " + why
	}
	return fmt.Errorf("%d entries were not sent and %s", l.Entries, where)
}

// refusals says how many entries found no room.
func refusals(s spool.Stats) error {
	var total uint64
	var parts []string
	for _, r := range s.Refused {
		total += r.Count
		name := r.Level.String()
		if r.Task {
			name = "task"
		}
		parts = append(parts, fmt.Sprintf("%d %s, %s", r.Count, name, r.Reason))
	}
	if total == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d entries were refused because the queue had no room (%s)", total, total+s.Reserved, strings.Join(parts, "; "))
}
