package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// messages is what the plan needs to know of a stream; jetstream.Stream gives it.
type messages interface {
	Info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error)
	GetMsg(ctx context.Context, seq uint64, opts ...jetstream.GetMsgOpt) (*jetstream.RawStreamMsg, error)
}

// plan is where a destination goes on in the stream as it is now.
type plan struct {
	at   Committed // what the destination holds, or the beginning of a new epoch
	next uint64    // what the consumer is reset to, never beyond the last sequence + 1
	// why says what happened to the stream where a new epoch begins, else it is empty.
	why string
}

// planFrom compares what a destination holds with the stream. now is when a new epoch begins, if one does.
func planFrom(ctx context.Context, st messages, c Committed, now time.Time) (plan, error) {
	info, err := st.Info(ctx)
	if err != nil {
		return plan{}, fmt.Errorf("ask for the stream's state: %w", err)
	}
	next, _ := c.next()
	if c.Seq == 0 {
		return plan{at: c, next: next}, nil
	}
	why, err := changed(ctx, st, info, c)
	if err != nil {
		return plan{}, err
	}
	if why == "" {
		return plan{at: c, next: min(next, info.State.LastSeq+1)}, nil
	}
	last, err := lastUpTo(ctx, st, info.State, c.Time)
	if err != nil {
		return plan{}, err
	}
	at := Committed{Seq: last.Sequence, Time: last.Time, Epoch: c.Epoch + 1, Since: now.UTC().Round(0)}
	return plan{at: at, next: at.Seq + 1, why: why}, nil
}

// changed says whether the stream is still the one that c was read from: "" if it is.
func changed(ctx context.Context, st messages, info *jetstream.StreamInfo, c Committed) (string, error) {
	switch {
	case info.Created.After(c.Time):
		return "made anew", nil
	case info.State.LastSeq < c.Seq:
		return "rolled back", nil
	}
	m, err := st.GetMsg(ctx, c.Seq)
	switch {
	case err == nil && m.Time.Equal(c.Time):
		return "", nil
	case err == nil:
		return "rolled back", nil
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return "", fmt.Errorf("get message %d: %w", c.Seq, err)
	}
	// The message is gone. Where it expired, what is left was stored later.
	if first := info.State; first.FirstSeq > c.Seq && first.Msgs > 0 && first.FirstTime.Before(c.Time) {
		return "rolled back", nil
	}
	return "", nil
}

// lastUpTo finds the last message stored at or before t, by halving: store times grow with the sequence. Its zero value stands for
// none.
func lastUpTo(ctx context.Context, st messages, state jetstream.StreamState, t time.Time) (jetstream.RawStreamMsg, error) {
	var found jetstream.RawStreamMsg
	lo, hi := max(state.FirstSeq, 1), state.LastSeq+1 // the first message later than t is in [lo, hi]
	for lo < hi {
		mid := lo + (hi-lo)/2
		m, err := st.GetMsg(ctx, mid, jetstream.WithGetMsgSubject(">"))
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound): // nothing from here on
			hi = mid
		case err != nil:
			return found, fmt.Errorf("get message %d: %w", mid, err)
		case m.Time.After(t):
			hi = mid
		default:
			found, lo = *m, max(m.Sequence, mid)+1
		}
	}
	return found, nil
}
