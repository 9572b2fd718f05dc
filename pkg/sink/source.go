package sink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// source is the stream that a sink reads and its durable consumer there.
type source struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	stream   string // as JetStream knows it
	consumer string
}

// ConsumerConfig is the durable of the sink of that name, for whoever makes it on its behalf. Acks are explicit: an AckAll after a takeover would also ack what the dead client held
// (measured). AckWait only matters where nobody resets the consumer; it is longer than a commit should take.
func ConsumerConfig(name string) jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: name, Description: "dlog sink " + name,
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: 30 * time.Second, MaxDeliver: -1, MaxAckPending: ackPending,
		PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{group}, PinnedTTL: pinTTL,
	}
}

// errAway says that there is no connection; errNoStream that the stream does not exist; errNoDurable that the consumer does not and
// may not be made from here.
var (
	errAway      = errors.New("not connected to NATS")
	errNoStream  = errors.New("there is no such stream yet")
	errNoDurable = errors.New("the consumer does not exist and could not be made: name the sink in the stream's sinks = […] of the router, or let these credentials make it")
)

// attach returns what the consumer is at now, and makes it where there is none.
func (s *source) attach(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	if !s.nc.IsConnected() {
		return nil, errAway
	}
	c, err := s.js.Consumer(ctx, s.stream, s.consumer)
	if err == nil {
		info := c.CachedInfo()
		return info, checkConsumer(info.Config)
	}
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, fmt.Errorf("stream %s: %w", s.stream, errNoStream)
	}
	if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil, fmt.Errorf("look for consumer %s of stream %s: %w", s.consumer, s.stream, err)
	}
	c, err = s.js.CreateConsumer(ctx, s.stream, ConsumerConfig(s.consumer))
	switch {
	case err == nil:
		return c.CachedInfo(), nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("stream %s: %w", s.stream, errNoStream)
	case errors.Is(err, jetstream.ErrConsumerExists):
		return s.info(ctx) // another client was faster
	}
	return nil, fmt.Errorf("make consumer %s of stream %s: %w: %w", s.consumer, s.stream, errNoDurable, err)
}

// checkConsumer refuses a durable that somebody else made for something else: none of its settings is changed.
func checkConsumer(c jetstream.ConsumerConfig) error {
	want := ConsumerConfig(c.Durable)
	differs := func(what string, have, want any) error {
		return fmt.Errorf("consumer %s exists with %s %v, a sink needs %v: give the sink another name, or delete the consumer", c.Durable, what, have, want)
	}
	switch {
	case c.AckPolicy != want.AckPolicy:
		return differs("ack policy", c.AckPolicy, want.AckPolicy)
	case c.DeliverPolicy != want.DeliverPolicy:
		return differs("deliver policy", c.DeliverPolicy, want.DeliverPolicy)
	case c.PriorityPolicy != want.PriorityPolicy || len(c.PriorityGroups) != 1 || c.PriorityGroups[0] != group:
		return differs("priority groups", c.PriorityGroups, want.PriorityGroups)
	case c.FilterSubject != "" || len(c.FilterSubjects) > 0:
		return differs("subject filter", append(c.FilterSubjects, c.FilterSubject), "none")
	case c.DeliverSubject != "":
		return differs("deliver subject", c.DeliverSubject, "none")
	}
	return nil
}

// info asks what the consumer is at.
func (s *source) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	if !s.nc.IsConnected() {
		return nil, errAway
	}
	c, err := s.js.Consumer(ctx, s.stream, s.consumer)
	if err != nil {
		return nil, fmt.Errorf("ask consumer %s of stream %s: %w", s.consumer, s.stream, err)
	}
	return c.CachedInfo(), nil
}

// reset lets the consumer begin anew at next, or, where that is 0, behind what was acked.
func (s *source) reset(ctx context.Context, next uint64) error {
	var err error
	if next == 0 {
		_, err = s.js.ResetConsumer(ctx, s.stream, s.consumer)
	} else {
		_, err = s.js.ResetConsumerToSequence(ctx, s.stream, s.consumer, next)
	}
	if err != nil {
		return fmt.Errorf("reset consumer %s of stream %s to %d: %w", s.consumer, s.stream, next, err)
	}
	return nil
}

// unpin lets a standby take over at once.
func (s *source) unpin(ctx context.Context) error {
	st, err := s.js.Stream(ctx, s.stream)
	if err == nil {
		err = st.UnpinConsumer(ctx, s.consumer, group)
	}
	if err != nil {
		return fmt.Errorf("unpin consumer %s of stream %s: %w", s.consumer, s.stream, err)
	}
	return nil
}

// pinOf is the client that holds the consumer, "" if none does.
func pinOf(info *jetstream.ConsumerInfo) string {
	for _, g := range info.PriorityGroups {
		if g.Group == group {
			return g.PinnedClientID
		}
	}
	return ""
}

// lagOf is how many messages are not known to be committed.
func lagOf(info *jetstream.ConsumerInfo) uint64 {
	return info.NumPending + uint64(max(0, info.NumAckPending))
}
