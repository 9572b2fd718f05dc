package transport

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// ErrClosed says that a transport no longer sends.
var ErrClosed = errors.New("transport closed")

// A Transport sends what is appended to its queue. All methods may be called from
// several goroutines at once.
type Transport struct {
	cfg    Config
	queue  spool.Queue
	own    bool // the queue was made here, and is closed here
	sender *sender
	cancel context.CancelFunc
	done   chan struct{} // closed when the sender has ended

	closing  sync.Once
	closeErr error // written by closing
}

// Open checks the configuration and starts the sender. It does not wait for a server:
// entries stay in the queue until there is one. The error joins all that is wrong with
// URL, credentials and certificates, one line each, without secrets.
func Open(cfg Config) (*Transport, error) {
	cfg.setDefaults()
	opts, err := cfg.options()
	if err = errors.Join(err, subject.CheckNamespace(cfg.Namespace)); err != nil {
		return nil, fmt.Errorf("open transport: %w", err)
	}
	own := cfg.Queue == nil
	if own {
		cfg.Queue = spool.NewMemory(spool.Config{})
	}
	return start(cfg, own, natsDialer(cfg, opts)), nil
}

func start(cfg Config, own bool, dial dialer) *Transport {
	ctx, cancel := context.WithCancel(context.Background())
	t := &Transport{cfg: cfg, queue: cfg.Queue, own: own, cancel: cancel, done: make(chan struct{}), sender: newSender(cfg, dial)}
	t.queue.Notify(t.sender.notify)
	go func() {
		defer close(t.done)
		t.sender.run(ctx)
	}()
	return t
}

// Reserve takes room in the queue; it is the queue's own. The sender is woken when the
// frame is committed. After Close a queue that was passed in still takes entries.
func (t *Transport) Reserve(subject string, level entry.Level, task bool, max int) (spool.Frame, error) {
	return t.queue.Reserve(subject, level, task, max)
}

// Adopt sends what waits in the queue of a dead process, beside the transport's own:
// its fixed packs under their old ids with Dlog-Again, the rest as new packs of that
// queue. When nothing is left, done is called in the sender's goroutine with nil; when
// the transport is closed before, with ErrClosed. Closing the queue is done's business.
func (t *Transport) Adopt(q spool.Queue, done func(error)) {
	t.sender.ask(request{adopt: newSource(q, done)})
	select {
	case <-t.done:
		t.sender.refuseRequests()
	default:
	}
}

// Flush returns when every entry appended before the call is stored, or with a
// *LeftError when ctx ends or the transport is closed.
func (t *Transport) Flush(ctx context.Context) error { return t.flush(ctx, "flush") }

func (t *Transport) flush(ctx context.Context, verb string) error {
	stats := t.queue.Stats()
	if stats.Waiting == 0 {
		return nil
	}
	stored := make(chan struct{})
	t.sender.ask(request{reserved: stats.Reserved, stored: stored})
	var err error
	select {
	case <-stored:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-t.done:
		err = ErrClosed
	}
	waiting := t.queue.Stats().Waiting
	if waiting == 0 {
		return nil
	}
	return &LeftError{Verb: verb, Entries: waiting, Where: t.queue.Where(), Last: t.sender.stats().LastError, Err: err}
}

// Close waits until everything is stored or ctx ends, then stops the sender and closes
// the connection. It returns a *LeftError when entries stay: those of a spool with files
// are sent by whoever adopts it, those in memory are lost with the process. Further
// calls return what the first one did.
func (t *Transport) Close(ctx context.Context) error {
	t.closing.Do(func() {
		t.closeErr = t.flush(ctx, "close")
		for t.closeErr == nil && t.queue.Stats().Waiting > 0 { // the death of a process whose queue was emptied meanwhile
			t.closeErr = t.flush(ctx, "close")
		}
		t.cancel()
		<-t.done
		t.queue.Notify(nil)
		t.sender.refuseRequests()
		if t.own {
			t.closeErr = errors.Join(t.closeErr, t.queue.Close())
		}
	})
	return t.closeErr
}

// Stats returns the figures of the moment.
func (t *Transport) Stats() Stats {
	s := t.sender.stats()
	s.Queue = t.queue.Stats()
	return s
}

var _ spool.Appender = (*Transport)(nil)
