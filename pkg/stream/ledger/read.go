package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Window is a span of time. Zero ends are open.
type Window struct{ Since, Until time.Time }

// Read calls f with the batches that were stored in a window, in order, up to the last one there is at the time of the call. A batch
// that this version cannot read is left out. It returns f's error; stream.ErrStop ends it without one.
func Read(ctx context.Context, js jetstream.JetStream, ns string, w Window, f func(*Batch) error) error {
	cfg := stream.ReadConfig{Stream: subject.StreamName(ns, "ledger", ""), Since: w.Since, Until: w.Until, StopAtEnd: true, Raw: true}
	return stream.Read(ctx, js, cfg, func(p stream.Pack) error {
		b, err := decode(p.Data)
		if err != nil {
			return nil //nolint:nilerror // anybody who may write to the ledger may write nonsense; it explains nothing
		}
		b.Router, b.Seq, b.Time = lastToken(p.Subject), p.Seq, p.Time
		return f(&b)
	})
}

// ErrNone says that there is no ledger: no router that keeps one has run.
var ErrNone = errors.New("there is no ledger")

// Latest returns the totals over all that is recorded.
func Latest(ctx context.Context, js jetstream.JetStream, ns string) (Totals, error) {
	c, err := Open(ctx, js, ns, "-")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Totals{}, fmt.Errorf("read totals: %w", ErrNone)
	}
	if err != nil {
		return Totals{}, err
	}
	return c.Totals(), nil
}
