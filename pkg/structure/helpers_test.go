package structure_test

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/structure"
)

// box is an appender that keeps what it is given, and can refuse.
type box struct {
	seq    atomic.Uint64
	refuse func(level entry.Level, task bool) bool

	mu  sync.Mutex // guards got
	got []kept
}

// kept is one entry with what stood beside it.
type kept struct {
	subject string
	level   entry.Level
	task    bool
	entry.Entry
}

func (b *box) Reserve(subject string, level entry.Level, task bool, max int) (spool.Frame, error) {
	if b.refuse != nil && b.refuse(level, task) {
		return spool.Frame{}, spool.ErrRefused
	}
	return spool.NewFrame(make([]byte, max), b.seq.Add(1), &frame{b, subject, level, task}, 0), nil
}

type frame struct {
	b       *box
	subject string
	level   entry.Level
	task    bool
}

func (f *frame) CommitFrame(fr spool.Frame, n int) {
	line := bytes.Clone(fr.Line[:n])
	e, err := entry.Parse(line)
	if err != nil || !e.HasMeta || bytes.Count(line, []byte("\n")) != 1 {
		panic("not one entry: " + string(line) + e.MetaErr)
	}
	f.b.mu.Lock()
	defer f.b.mu.Unlock()
	f.b.got = append(f.b.got, kept{f.subject, f.level, f.task, e})
}

func (f *frame) AbandonFrame(spool.Frame) {}

func (b *box) all() []kept {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]kept(nil), b.got...)
}

func (b *box) last(t *testing.T) kept {
	t.Helper()
	all := b.all()
	if len(all) == 0 {
		t.Fatal("nothing was logged")
	}
	return all[len(all)-1]
}

// depth is a context key of its own for each number.
type depth int

// newProcess returns a process that writes to a box and advises into a buffer.
func newProcess(t testing.TB, change ...func(*structure.Config)) (*structure.Process, *box, *lockedBuffer) {
	t.Helper()
	b, said := &box{}, &lockedBuffer{}
	cfg := structure.Config{Service: "shop", Out: b, Stderr: said}
	for _, f := range change {
		f(&cfg)
	}
	p, err := structure.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p, b, said
}

type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
