package router

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/stream"
)

// What a stream that is set aside should get goes, as the rules made it, into the stream of what is owed; the message of IN can be
// acked then, and nothing waits for a stream that refuses for days. As soon as a stream takes entries again, whichever router is
// there pays: it moves the copies on under their ids, marked Dlog-Again. What is owed counts in the ledger when it is put there, and
// when it is paid.

// debt is a parcel on its way into the stream of what is owed.
type debt struct {
	stream.Delivery
	parcel *parcel
}

// parkAll moves what waits for streams that are set aside, unless what is owed cannot be stored either.
func (e *engine) parkAll() {
	if since, _ := e.debts.Refusing(); !since.IsZero() {
		return
	}
	for _, o := range e.outlets() {
		if !o.aside.Load() || o == e.letters { // dead letters wait in IN
			continue
		}
		for _, d := range o.lane.TakeBack() {
			switch owner := d.Owner.(type) {
			case *parcel:
				e.park(owner)
			case *payment:
				owner.giveBack()
			}
		}
	}
}

func (e *engine) park(p *parcel) {
	d := &debt{parcel: p}
	d.Msg = &nats.Msg{Subject: e.owedSubject(p.Msg.Subject), Header: maps.Clone(p.Msg.Header), Data: p.Msg.Data}
	d.Owner = d
	e.debts.Send(&d.Delivery)
}

// Done is called by the publisher when the copy is stored among what is owed, or never can be.
func (d *debt) Done(_ *stream.Delivery, duplicate bool, err error) {
	p := d.parcel
	if err != nil {
		p.Done(&p.Delivery, duplicate, err)
		return
	}
	p.hand.mu.Lock()
	p.hand.parked = append(p.hand.parked, p)
	p.hand.mu.Unlock()
	p.hand.hands.engine.count.parked(p)
	p.hand.close(p.to)
}

// owedSubject turns <ns>.to.<stream>.… into <ns>.owed.<stream>.…, and paidSubject turns it back.
func (e *engine) owedSubject(to string) string {
	return e.ns + ".owed" + strings.TrimPrefix(to, e.ns+".to")
}

func (e *engine) paidSubject(owed string) string {
	return e.ns + ".to" + strings.TrimPrefix(owed, e.ns+".owed")
}

// payment is a copy that was owed, on its way into its stream.
type payment struct {
	stream.Delivery
	engine *engine
	to     *outlet
	count  int
	seq    uint64 // in the stream of what is owed
	at     time.Time
	msg    jetstream.Msg
	over   chan<- struct{} // has room for all payments of a round
}

// Done is called by the publisher when the copy is stored in its stream, or never can be.
func (p *payment) Done(_ *stream.Delivery, _ bool, err error) {
	if err != nil {
		p.engine.faults.say(p.engine.log, "paying what stream "+p.to.lane.Stream()+" is owed", err)
		p.giveBack()
		return
	}
	p.engine.count.paid(p)
	p.engine.books.pay(p)
	p.over <- struct{}{}
}

// giveBack leaves the debt for later.
func (p *payment) giveBack() {
	_ = p.msg.NakWithDelay(repairEvery) // without a connection it comes again by itself
	p.over <- struct{}{}
}

// settle removes a debt that is recorded as paid.
func (p *payment) settle() {
	if err := p.msg.Ack(); err != nil {
		p.engine.log.Debug().Err(err).Msg("a debt's ack is not sent; it is paid again and recognized")
	}
}

// payRound is how many copies are paid at a time to one stream, and payWait how long that may take before others have a go.
const (
	payRound = 256
	payWait  = 30 * time.Second
)

// payDebts pays what streams that take entries again are owed, until ctx ends.
func (e *engine) payDebts(ctx context.Context) {
	every(ctx, repairEvery, func(time.Time) {
		if err := e.payAll(ctx); err != nil && ctx.Err() == nil {
			e.faults.say(e.log, "paying what streams are owed", err)
		}
	})
}

func (e *engine) payAll(ctx context.Context) error {
	if since, _ := e.debts.Refusing(); !since.IsZero() {
		if err := e.ensure(ctx, e.owed); err != nil {
			return err
		}
	}
	s, err := e.js.Stream(ctx, e.owed.Name)
	if err != nil {
		return fmt.Errorf("look for stream %s: %w", e.owed.Name, err)
	}
	e.count.owing(s.CachedInfo().State.Msgs)
	if s.CachedInfo().State.Msgs == 0 {
		return nil
	}
	for _, o := range e.outlets() {
		if since, _ := o.lane.Refusing(); o == e.letters || o.aside.Load() || !since.IsZero() {
			continue
		}
		if err := e.payTo(ctx, s, o); err != nil {
			return err
		}
	}
	return nil
}

// payTo pays one stream what it is owed at present.
func (e *engine) payTo(ctx context.Context, s jetstream.Stream, o *outlet) error {
	c, err := s.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable: o.name, FilterSubject: e.ns + ".owed." + o.name + ".>", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 2 * payWait, MaxDeliver: -1,
	})
	if err != nil {
		return fmt.Errorf("make consumer %s of stream %s: %w", o.name, e.owed.Name, err)
	}
	for {
		n, err := e.payOnce(ctx, c, o)
		if n == 0 || err != nil {
			return err
		}
	}
}

// payOnce pays one round and returns how many copies it was about.
func (e *engine) payOnce(ctx context.Context, c jetstream.Consumer, o *outlet) (int, error) {
	batch, err := c.FetchNoWait(payRound)
	if err != nil {
		return 0, err
	}
	over := make(chan struct{}, payRound)
	n := 0
	for m := range batch.Messages() {
		md, err := m.Metadata()
		if err != nil {
			continue
		}
		n++
		e.pay(m, md, o, over)
	}
	t := time.NewTimer(payWait)
	defer t.Stop()
	for range n {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-t.C:
			return 0, errors.New("the stream takes its time")
		case <-over:
		}
	}
	return n, batch.Error()
}

func (e *engine) pay(m jetstream.Msg, md *jetstream.MsgMetadata, o *outlet, over chan<- struct{}) {
	p := &payment{engine: e, to: o, seq: md.Sequence.Stream, at: md.Timestamp, msg: m, over: over, count: stream.CountLines(m.Data())}
	h := maps.Clone(nats.Header(m.Headers()))
	if pk, err := stream.DecodePack(m.Subject(), h, m.Data(), stream.Limits{}); err == nil {
		p.count = pk.Count
	}
	h.Set(stream.HdrAgain, "1")
	p.Msg, p.Owner = &nats.Msg{Subject: e.paidSubject(m.Subject()), Header: h, Data: m.Data()}, p
	o.lane.Send(&p.Delivery)
}
