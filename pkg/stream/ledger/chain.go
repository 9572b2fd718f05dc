package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/subject"
)

const (
	// fullEvery is how many batches there are to one that holds everything, about 20 KiB with a thousand rules; fullBytes is
	// after how many bytes there is one in any case, so that even the smallest ledger always holds one.
	fullEvery = 64
	fullBytes = 1 << 20
	// remembered is how many messages of IN a chain knows one by one, with their times: more than all routers hold un-acked
	// after they were recorded.
	remembered = 65536
	// answerWait is how long the server may take to store a batch.
	answerWait = 5 * time.Second
)

// errWrongLast is the server's code for a condition on the last sequence that does not hold (server/errors.json, nats-server 2.15).
const errWrongLast jetstream.ErrorCode = 10071

// A Chain appends to the ledger of a namespace. Append and Resume are for one goroutine at a time; Knows, Totals and Recorded may be called
// by others meanwhile.
type Chain struct {
	js      jetstream.JetStream
	stream  string
	subject string // of this router
	router  string
	number  uint64 // of the last batch that was tried
	enc     encoder

	mu       sync.Mutex // guards what follows
	last     uint64     // sequence of the last batch known
	full     uint64     // of the last full one
	since    int        // bytes since then
	totals   Totals
	recorded Spans
	begun    bool // recorded is complete
	known    map[place]struct{}
	ring     []remember // order of known
	at       int
	oldest   time.Time // store time of the oldest batch of which something is in known
}

// remember is a message of IN and when it was recorded.
type remember struct {
	place
	time time.Time
}

// place is a message of IN, or of what is owed.
type place struct {
	seq  uint64
	at   int64
	debt bool
}

func placeOf(r *Record, debt bool) place { return place{r.Seq, r.At.UnixNano(), debt} }

// Open reads the end of the ledger. The stream must exist. router is one token, different in each run.
func Open(ctx context.Context, js jetstream.JetStream, ns, router string) (*Chain, error) {
	c := &Chain{js: js, stream: subject.StreamName(ns, "ledger", ""), subject: ns + ".ledger." + router, router: router}
	c.reset()
	return c, c.Resume(ctx)
}

func (c *Chain) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.totals, c.recorded, c.begun = Totals{By: map[Name]uint64{}}, nil, false
	c.known, c.ring, c.at, c.oldest = map[place]struct{}{}, make([]remember, remembered), 0, time.Time{}
}

// Resume reads the end of the ledger anew, for a stream that may not be what it was. From one that was emptied, or made anew, the
// sums go on.
func (c *Chain) Resume(ctx context.Context) error {
	s, err := c.js.Stream(ctx, c.stream)
	if err != nil {
		return fmt.Errorf("look for stream %s: %w", c.stream, err)
	}
	state := s.CachedInfo().State
	c.mu.Lock()
	c.last, c.full, c.since = state.LastSeq, 0, 0
	c.mu.Unlock()
	if state.Msgs == 0 {
		return nil
	}
	c.reset()
	from := state.FirstSeq
	newest, err := c.get(ctx, s, state.LastSeq)
	if err == nil && newest.Back >= from {
		from = newest.Back
	}
	if err == nil && newest.Full {
		from = newest.Seq
	}
	_, err = c.readTo(ctx, s, from, state.LastSeq, 0)
	return err
}

// Begin says that everything up to a sequence of IN was settled before, where the ledger does not tell: it is new, or its
// beginning is gone.
func (c *Chain) Begin(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.begun {
		c.recorded, c.begun = c.recorded.Add(Span{1, seq}), true
	}
}

func (c *Chain) setLast(seq uint64) {
	c.mu.Lock()
	c.last = seq
	c.mu.Unlock()
}

// get reads one batch.
func (c *Chain) get(ctx context.Context, s jetstream.Stream, seq uint64) (Batch, error) {
	m, err := s.GetMsg(ctx, seq)
	if err != nil {
		return Batch{}, err
	}
	b, err := decode(m.Data)
	b.Router, b.Seq, b.Time = lastToken(m.Subject), m.Sequence, m.Time
	return b, err
}

func lastToken(s string) string { return s[strings.LastIndexByte(s, '.')+1:] }

// readTo takes in the batches from one sequence to another and reports whether batch number mine of this router is one of them.
func (c *Chain) readTo(ctx context.Context, s jetstream.Stream, from, to, mine uint64) (found bool, err error) {
	for seq := from; seq <= to; seq++ {
		b, err := c.get(ctx, s, seq)
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			continue // trimmed meanwhile
		case err != nil && b.Seq == 0:
			return found, fmt.Errorf("read stream %s: %w", c.stream, err)
		case err != nil:
			continue // somebody else wrote it; what cannot be read counts nowhere
		}
		found = found || (b.Router == c.router && b.Number == mine)
		c.apply(&b)
	}
	c.setLast(to)
	return found, nil
}

// apply takes a stored batch in. Its totals are those after it.
func (c *Chain) apply(b *Batch) {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := c.totals.By
	if b.Full {
		c.full, c.since, c.begun = b.Seq, 0, true
		c.recorded = slices.Clone(b.Recorded)
		by = map[Name]uint64{}
	}
	for name, n := range b.Totals.By {
		by[name] = n
	}
	c.totals = b.Totals
	c.totals.By = by
	for i := range b.Records {
		r := &b.Records[i]
		if !b.Debts {
			c.recorded = c.recorded.Add(Span{r.Seq, r.Seq})
		}
		c.remember(placeOf(r, b.Debts), b.Time)
	}
	for _, s := range b.Expired {
		c.recorded = c.recorded.Add(s)
	}
	if c.oldest.IsZero() {
		c.oldest = b.Time
	}
	c.last = b.Seq
}

func (c *Chain) remember(p place, at time.Time) {
	if old := c.ring[c.at]; !old.time.IsZero() {
		delete(c.known, old.place)
		c.oldest = old.time
	}
	c.ring[c.at], c.known[p] = remember{p, at}, struct{}{}
	c.at = (c.at + 1) % len(c.ring)
}

// Knows reports whether a message of IN is recorded, as far as this chain has read. "false" is not certain for messages that other
// routers had.
func (c *Chain) Knows(seq uint64, at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.knows(seq, at)
}

func (c *Chain) knows(seq uint64, at time.Time) bool {
	if _, ok := c.known[place{seq: seq, at: at.UnixNano()}]; ok {
		return true
	}
	// A message stored later than the batch that holds its sequence is another one: IN was rolled back.
	return at.Before(c.oldest) && c.recorded.Has(seq)
}

// Totals returns the sums over all that is recorded, as far as this chain has read.
func (c *Chain) Totals() Totals {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.totals.Clone()
}

// Recorded returns the sequences of IN that are recorded or expired, as far as this chain has read.
func (c *Chain) Recorded() Spans {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.recorded)
}

// Forget takes what lies above the last sequence of IN for not recorded: IN was rolled back, or made anew.
func (c *Chain) Forget(last uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.recorded.Max() > last {
		c.recorded = c.recorded.Cut(last)
	}
}

// Append stores records, and with them what is neither recorded nor below gone in IN as expired: gone is the last sequence of IN
// that is no longer there and not in any router's hands. It returns nil when all of it is stored, by this call or before, and
// an error when it may not be; then it can be called again with the same records.
func (c *Chain) Append(ctx context.Context, records []Record, gone uint64) error {
	return c.append(ctx, func() *Batch { return c.batch(records, gone) })
}

// Pay stores that debts were paid: the records' counts are of the kind Paid, each a message of the stream of what is owed.
func (c *Chain) Pay(ctx context.Context, records []Record) error {
	return c.append(ctx, func() *Batch { return c.payment(records) })
}

// append stores what next makes, which is asked again when another router was faster. nil is nothing to store.
func (c *Chain) append(ctx context.Context, next func() *Batch) error {
	c.number++
	for {
		b := next()
		if b == nil {
			return nil
		}
		data := c.enc.encode(b)
		seq, err := c.publish(ctx, data)
		if err == nil {
			c.grow(len(data)) // apply sets it to 0 if this one is full
			b.Seq, b.Time = seq, time.Now()
			c.apply(b)
			return nil
		}
		var api *jetstream.APIError
		if !errors.As(err, &api) || api.ErrorCode != errWrongLast {
			return fmt.Errorf("append to stream %s: %w", c.stream, err)
		}
		stored, err := c.catchUp(ctx)
		if stored || err != nil {
			return err
		}
	}
}

// batch makes the next batch of what is not recorded yet; nil if that is nothing.
func (c *Chain) batch(records []Record, gone uint64) *Batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.begin()
	recorded := slices.Clone(c.recorded)
	for i := range records {
		if r := &records[i]; !c.knows(r.Seq, r.At) {
			b.Records = append(b.Records, *r)
			b.Totals.add(r)
			recorded = recorded.Add(Span{r.Seq, r.Seq})
		}
	}
	if c.begun {
		b.Expired = recorded.Gaps(gone)
	}
	if len(b.Records) == 0 && len(b.Expired) == 0 {
		return nil
	}
	b.Totals.Expired += b.Expired.Count()
	for _, s := range b.Expired {
		recorded = recorded.Add(s)
	}
	return c.finish(b, recorded)
}

// payment makes the next batch of the debts that are not recorded as paid; nil if there is none.
func (c *Chain) payment(records []Record) *Batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := c.begin()
	b.Debts = true
	for i := range records {
		r := &records[i]
		if _, ok := c.known[placeOf(r, true)]; ok {
			continue
		}
		b.Records = append(b.Records, *r)
		for _, n := range r.Counts {
			b.Totals.By[n.Name] += n.N
		}
	}
	if len(b.Records) == 0 {
		return nil
	}
	return c.finish(b, slices.Clone(c.recorded))
}

func (c *Chain) begin() *Batch {
	return &Batch{Router: c.router, Number: c.number, Back: c.full, Totals: c.totals.Clone()}
}

// finish makes a batch full when it is time, or leaves out the names that it does not use.
func (c *Chain) finish(b *Batch, recorded Spans) *Batch {
	if c.full == 0 || c.last-c.full >= fullEvery || c.since >= fullBytes {
		b.Full, b.Back, b.Recorded = true, 0, recorded
		return b
	}
	used := map[Name]bool{}
	for i := range b.Records {
		for _, n := range b.Records[i].Counts {
			used[n.Name] = true
		}
	}
	for name := range b.Totals.By {
		if !used[name] {
			delete(b.Totals.By, name)
		}
	}
	return b
}

// publish stores a batch after the last one known, or fails.
func (c *Chain) publish(ctx context.Context, data []byte) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	m := &nats.Msg{Subject: c.subject, Data: data}
	ack, err := c.js.PublishMsg(ctx, m, jetstream.WithExpectLastSequence(c.last), jetstream.WithExpectStream(c.stream), jetstream.WithRetryAttempts(0))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// catchUp reads what was appended since, and reports whether an earlier try of this batch is among it.
func (c *Chain) catchUp(ctx context.Context) (stored bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	s, err := c.js.Stream(ctx, c.stream)
	if err != nil {
		return false, fmt.Errorf("look for stream %s: %w", c.stream, err)
	}
	state := s.CachedInfo().State
	if state.LastSeq < c.last || state.FirstSeq > c.last+1 {
		return false, c.Resume(ctx) // rolled back, made anew, or far behind
	}
	return c.readTo(ctx, s, c.last+1, state.LastSeq, c.number)
}

func (c *Chain) grow(bytes int) {
	c.mu.Lock()
	c.since += bytes
	c.mu.Unlock()
}
