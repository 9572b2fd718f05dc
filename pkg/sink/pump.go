package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// pump carries what the reader brings until ctx ends or something unexpected happens. held is what the destination holds.
func (r *Runner) pump(ctx context.Context, rd *reader, in *intake, held Committed) error {
	w := &writer{kind: r.cfg.Kind, dead: r.deadEntry}
	r.idle = idleness{}
	r.meter.committed(held)
	if !r.failing {
		r.well()
	}
	for {
		ds, err := r.gather(ctx, rd)
		if err != nil {
			return err
		}
		held, err = r.carry(ctx, in, w, held, ds)
		rd.release(ds)
		if err != nil {
			return err
		}
	}
}

// gather waits for deliveries, and then, if the kind wishes it, for some more.
func (r *Runner) gather(ctx context.Context, rd *reader) ([]delivery, error) {
	var full <-chan time.Time
	for {
		n, size := rd.waiting()
		if n > 0 && full == nil && r.batching.Wait > 0 {
			timer := time.NewTimer(r.batching.Wait)
			defer timer.Stop()
			full = timer.C
		}
		if n > 0 && (full == nil || n >= r.batching.Entries || size >= r.batching.Bytes) {
			return rd.take(r.batching.Entries, r.batching.Bytes)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-full:
			return rd.take(r.batching.Entries, r.batching.Bytes)
		case <-rd.more:
			if _, err := rd.take(0, 0); err != nil {
				return nil, err
			}
		case info := <-r.infos:
			if err := r.idle.check(info, rd, n); err != nil {
				return nil, err
			}
		}
	}
}

// carry commits what the deliveries hold and acks them. It returns what the destination holds then. A delivery that cannot be
// taken ends the batch before it.
func (r *Runner) carry(ctx context.Context, in *intake, w *writer, held Committed, ds []delivery) (Committed, error) {
	ctx, cancel := finishing(ctx)
	defer cancel()
	r.idle = idleness{}
	before, taken := in.filtered, 0
	var entries []Entry
	var stop error
	for _, d := range ds {
		n := len(entries)
		if entries, stop = in.take(ctx, entries, d); stop != nil {
			entries = entries[:n]
			break
		}
		taken++
	}
	to := in.finish(entries)
	r.meter.filtered.Add(float64(in.filtered - before))
	reached := held
	var err error
	if len(entries) > 0 || !to.Same(held) {
		reached, err = r.commit(ctx, w, Batch{From: held, To: to, Entries: entries})
	}
	ack(ds[:taken], reached)
	return reached, errors.Join(err, stop)
}

func (r *Runner) commit(ctx context.Context, w *writer, b Batch) (Committed, error) {
	began := time.Now()
	reached, err := w.write(ctx, b)
	r.meter.commit(reached, b, time.Since(began), err)
	r.last = reached
	switch {
	case err == nil:
		r.failing = false
		r.well()
	case !errors.Is(err, ErrConflict):
		r.failing = true
		err = destinationError{fmt.Errorf("commit: %w", err)}
	}
	return reached, err
}

// ack acks the deliveries that are wholly committed. An ack that does not arrive is no harm: the destination's position decides.
func ack(ds []delivery, reached Committed) {
	next, _ := reached.next()
	for _, d := range ds {
		if d.meta.Sequence.Stream < next {
			_ = d.msg.Ack()
		}
	}
}

func (r *Runner) deadEntry(ctx context.Context, e Entry, err error) error {
	return r.dead.publish(ctx, "sink", e, err)
}

// finishing is ctx, but ends only some time after it: what was begun is finished, unless that takes too long.
func finishing(ctx context.Context) (context.Context, context.CancelFunc) {
	out, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var timer *time.Timer
	ready := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		timer = time.AfterFunc(stopWait, cancel)
		close(ready)
	})
	return out, func() {
		if !stop() {
			<-ready
			timer.Stop()
		}
		cancel()
	}
}

// idleness notices, while nothing comes, that something should: the consumer belongs to another client, or messages hang at one
// that is gone. One look is not enough: what it shows may be on its way.
type idleness struct{ foreign, hanging int }

const looks = 3

func (i *idleness) check(info *jetstream.ConsumerInfo, rd *reader, waiting int) error {
	pin := pinOf(info)
	i.foreign, i.hanging = count(pin != "" && pin != rd.pinned(), i.foreign), count(waiting == 0 && info.NumAckPending > 0, i.hanging)
	switch {
	case i.foreign >= looks:
		return errLost
	case i.hanging >= looks:
		return fmt.Errorf("%w: %d messages hang at another client", errJump, info.NumAckPending)
	}
	return nil
}

func count(yes bool, n int) int {
	if !yes {
		return 0
	}
	return n + 1
}
