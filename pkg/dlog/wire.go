package dlog

import (
	"context"
	"fmt"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// wire is the way out of the process: a queue and the transport that empties it.
type wire struct {
	queue spool.Queue
	out   *transport.Transport
}

// openWire chooses the queue, starts the sender, and has it send what dead processes of this service left.
func openWire(cfg Config, env lookup) (*wire, error) {
	dir := placeOf(cfg, env)
	queue := openQueue(cfg, dir)
	out, err := transport.Open(transport.Config{
		URL: cfg.URL, Creds: cfg.Creds, CA: cfg.CA, Name: cfg.Service, Namespace: cfg.Namespace, Queue: queue,
		Report: func(line string) { say(cfg, "%s", line) },
	})
	if err != nil {
		_ = queue.Close() // it is empty
		return nil, err
	}
	w := &wire{queue: queue, out: out}
	if dir != "" {
		w.adopt(cfg, dir)
	}
	return w, nil
}

// placeOf returns the directory of the spool, "" for a queue in memory.
func placeOf(cfg Config, env lookup) string {
	return spool.Place(func(name string) string {
		if name == "DLOG_SPOOL" {
			return cfg.Spool
		}
		return env(name)
	}).Dir
}

// openQueue opens the queue in the directory, and says what it outlives. Without a directory, or with one that cannot be used, entries wait in memory.
func openQueue(cfg Config, dir string) spool.Queue {
	limits := cfg.Queue
	limits.Dir = dir
	queue, err := spool.OpenOrMemory(limits)
	if err != nil {
		say(cfg, "%v", err)
	}
	say(cfg, "entries wait in %s", queue.Where())
	return queue
}

func say(cfg Config, format string, args ...any) {
	_, _ = fmt.Fprintf(cfg.Stderr, "dlog: "+format+"\n", args...)
}

// Reserve implements [spool.Appender].
func (w *wire) Reserve(subject string, level entry.Level, task bool, max int) (spool.Frame, error) {
	return w.queue.Reserve(subject, level, task, max)
}

// setBirth leaves the birth entry with the queue, for whoever adopts that.
func (w *wire) setBirth(line []byte, p *structure.Process) {
	if err := w.queue.SetBirth(line); err != nil {
		p.Advise("birth", "cannot keep the birth entry with the queue: %v", err)
	}
}

func (w *wire) flush(ctx context.Context) error { return w.out.Flush(ctx) }

func (w *wire) close(ctx context.Context) error {
	err := w.out.Close(ctx)
	if err != nil {
		var n uint64
		for _, r := range w.queue.Stats().Refused {
			n += r.Count
		}
		if n > 0 { // on the way they are told of by end and death entries, which did not get through either
			err = fmt.Errorf("%w; %d entries were refused because the queue was full", err, n)
		}
	}
	if cerr := w.queue.Close(); err == nil && cerr != nil {
		return fmt.Errorf("close queue: %w", cerr)
	}
	return err
}

// abandon stops a wire that nothing was written to.
func (w *wire) abandon() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = w.close(ctx)
}
