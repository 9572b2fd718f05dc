package structure

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// keptFrames and keptBytes bound the buffers that a writer keeps for reuse.
const (
	keptFrames = 64
	keptBytes  = 64 << 10
)

// Writer returns an appender that writes each entry to w, one call of Write per line and one at a time. It is how tasks work
// with any io.Writer, a file or a pipe, and no queue behind it: the call that logs waits for w. Nothing is refused. The
// first error of w is said on stderr; lines that w does not take are lost, as with any logger.
func Writer(w io.Writer) spool.Appender {
	if w == nil {
		w = io.Discard
	}
	return &lineWriter{w: w}
}

type lineWriter struct {
	seq atomic.Uint64

	writing sync.Mutex // guards w and failed
	w       io.Writer
	failed  bool

	mu   sync.Mutex // guards free; never taken together with writing
	free [][]byte
}

// Reserve implements [spool.Appender].
func (l *lineWriter) Reserve(_ string, _ entry.Level, _ bool, max int) (spool.Frame, error) {
	if max <= 0 {
		return spool.Frame{}, spool.ErrTooLarge
	}
	return spool.NewFrame(l.take(max), l.seq.Add(1), l, 0), nil
}

// CommitFrame implements [spool.Committer].
func (l *lineWriter) CommitFrame(f spool.Frame, n int) {
	l.write(f.Line[:n])
	l.give(f.Line)
}

// AbandonFrame implements [spool.Committer].
func (l *lineWriter) AbandonFrame(f spool.Frame) { l.give(f.Line) }

func (l *lineWriter) write(line []byte) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, err := l.w.Write(line); err != nil && !l.failed {
		l.failed = true
		fmt.Fprintf(os.Stderr, "dlog: cannot write entries: %v (said once)\n", err)
	}
}

func (l *lineWriter) take(n int) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := len(l.free) - 1; last >= 0 && cap(l.free[last]) >= n {
		b := l.free[last]
		l.free = l.free[:last]
		return b[:n]
	}
	return make([]byte, n, max(n, 1024))
}

func (l *lineWriter) give(b []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < keptFrames && cap(b) <= keptBytes {
		l.free = append(l.free, b)
	}
}
