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

// openWire chooses the queue and starts the sender.
func openWire(cfg Config) (*wire, error) {
	queue, err := openQueue(cfg)
	if err != nil {
		return nil, err
	}
	out, err := transport.Open(transport.Config{
		URL: cfg.URL, Creds: cfg.Creds, CA: cfg.CA, Name: cfg.Service, Namespace: cfg.Namespace, Queue: queue,
		Report: func(line string) { fmt.Fprintf(cfg.Stderr, "dlog: %s\n", line) },
	})
	if err != nil {
		_ = queue.Close() // it is empty
		return nil, err
	}
	return &wire{queue: queue, out: out}, nil
}

// openQueue is where it is decided how entries wait: the one place that knows which queues there are.
func openQueue(cfg Config) (spool.Queue, error) {
	switch cfg.Spool {
	case "", "memory":
		return spool.NewMemory(spool.Config{}), nil
	}
	return nil, fmt.Errorf("spool must be empty or memory in this version, not %q", cfg.Spool)
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
