package router_test

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

var (
	services = []string{"gateway", "checkout", "payments", "inventory", "mailer"}
	levels   = []string{"debug", "info", "warn", "error"}
)

// oracle says what the rules make of a line. It evaluates them as the router does, but knows nothing of packs, acks and kills: what they
// decide is tested elsewhere.
type oracle struct {
	set   *rule.Set
	plans map[string]*rule.Plan
	d     rule.Decision
}

// fate is what becomes of one entry.
type fate struct {
	to      []int // streams
	sums    []uint64
	dropped int // rule, -1
	dead    string
}

func (o *oracle) ask(t testing.TB, subj string, line []byte) fate {
	p := o.plans[subj]
	if p == nil {
		s, err := subject.Parse(subj)
		if err != nil {
			t.Fatal(err)
		}
		p = o.set.Plan(s)
		o.plans[subj] = p
	}
	f := fate{dropped: -1}
	if err := p.Eval(line, &o.d); err != nil {
		f.dead = "json"
		return f
	}
	for i, s := range o.d.Streams {
		copied := o.d.Copies[i].Line
		if copied == nil {
			copied = line
		}
		f.to, f.sums = append(f.to, s), append(f.sums, sum(copied))
	}
	switch {
	case len(f.to) > 0:
	case o.d.Dead >= 0:
		f.dead = "rule"
	default:
		f.dropped = o.d.Dropped
	}
	return f
}

// sum stands for a line's bytes.
func sum(line []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(line)
	return h.Sum64()
}

// withheld is a dropped entry as a reader of trees would miss it.
type withheld struct {
	trace  task.Trace
	number uint64
	rule   int
}

// producer says entries through everything that happens, and keeps the outside ledger.
type producer struct {
	t      *testing.T
	rnd    *rand.Rand
	oracle *oracle
	lane   *stream.Lane
	acked  sync.WaitGroup
	proc   task.Process
	n      int // entries said so far; the number of the last one

	streams []map[int]uint64 // by stream: numbers of entries, with the sum of the copy
	dead    map[string]map[int]bool
	drops   []withheld // by rule, of entries that are well-formed
}

func newProducer(t *testing.T, nc *nats.Conn, o *oracle, rnd *rand.Rand) *producer {
	t.Helper()
	pub, err := stream.NewPublisher(nc, stream.PublisherConfig{AckWait: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pub.Close)
	p := &producer{t: t, rnd: rnd, oracle: o, lane: pub.Lane("DLOG_IN"), proc: task.NewProcess(), dead: map[string]map[int]bool{"json": {}, "rule": {}}}
	for range o.set.Streams {
		p.streams = append(p.streams, map[int]uint64{})
	}
	return p
}

// Done counts an acked pack.
func (p *producer) Done(_ *stream.Delivery, _ bool, err error) {
	if err != nil {
		panic(err)
	}
	p.acked.Done()
}

// burst says packs as fast as can be: they are made before the first is sent.
func (p *producer) burst(packs int) {
	all := make([]*stream.Delivery, packs)
	for i := range all {
		all[i] = p.pack()
	}
	for _, d := range all {
		p.acked.Add(1)
		p.lane.Send(d)
	}
}

// pack makes 1 to 40 entries of one subject and one trace.
func (p *producer) pack() *stream.Delivery {
	service, level := services[p.rnd.IntN(len(services))], levels[p.rnd.IntN(len(levels))]
	pk := stream.Pack{Subject: "dlog.in." + service + "." + level + ".place-order.charge", ID: fmt.Sprint("p", p.n), Count: 1 + p.rnd.IntN(40)}
	trace := task.NewTrace()
	for i := range pk.Count {
		p.n++
		line := p.line(service, level, trace, i+1)
		p.note(pk.Subject, line, trace, uint64(i+1))
		pk.Data = append(append(pk.Data, line...), '\n')
	}
	m := &nats.Msg{}
	pk.Msg(m)
	return &stream.Delivery{Msg: m, Owner: p}
}

func (p *producer) line(service, level string, trace task.Trace, number int) []byte {
	if p.rnd.IntN(200) == 0 {
		return fmt.Appendf(nil, "this is no JSON, n=%d", p.n)
	}
	return fmt.Appendf(nil, `{"level":%q,"n":%d,"k":%d,"card":"4111 1111 1111 %04d","email":"a%d@example.org","password":"x","token":"secret","text":"a=%d b=2","message":"some text that makes the line as long as usual","dlog":{"svc":%q,"trace":"%v","path":"place-order/charge","pos":"%d","proc":"%v","seq":%d}}`,
		level, p.n, p.rnd.IntN(8), p.n%10000, p.n, p.rnd.IntN(100), service, trace, number, p.proc, p.n)
}

// note writes the outside ledger.
func (p *producer) note(subj string, line []byte, trace task.Trace, number uint64) {
	f := p.oracle.ask(p.t, subj, line)
	for i, s := range f.to {
		p.streams[s][p.n] = f.sums[i]
	}
	if f.dead != "" {
		p.dead[f.dead][p.n] = true
	}
	if f.dropped >= 0 && line[0] == '{' {
		p.drops = append(p.drops, withheld{trace, number, f.dropped})
	}
}

// expected is what the ledger must say of a message of IN.
func (o *oracle) expected(t testing.TB, p stream.Pack) ledger.Record {
	r := ledger.Record{Seq: p.Seq, Entries: uint64(p.Count)}
	add := func(k ledger.Kind, name string) {
		for i := range r.Counts {
			if r.Counts[i].Kind == k && r.Counts[i].Name.Name == name {
				r.Counts[i].N++
				return
			}
		}
		r.Counts = append(r.Counts, ledger.Count{Name: ledger.Name{Kind: k, Name: name}, N: 1})
	}
	for line := range stream.Lines(p.Data) {
		f := o.ask(t, p.Subject, line)
		switch {
		case f.dead != "":
			add(ledger.Dead, f.dead)
		case f.dropped >= 0:
			add(ledger.Dropped, o.set.Rules[f.dropped].Name)
		default:
			r.Delivered++
		}
		for _, s := range f.to {
			add(ledger.Stored, o.set.Streams[s].Name)
		}
	}
	return r
}

// audit compares each record of the routers' ledger with the message of IN that it speaks of, and the sums with the records. It may
// be called at any time; with all, nothing may be unrecorded.
func (p *producer) audit(js jetstream.JetStream, all bool) {
	p.t.Helper()
	var records []ledger.Record
	var totals ledger.Totals
	paid := map[ledger.Name]uint64{}
	read := func(b *ledger.Batch) error {
		if b.Debts {
			for _, r := range b.Records {
				for _, c := range r.Counts {
					paid[c.Name] += c.N
				}
			}
		} else {
			records = append(records, b.Records...)
		}
		totals.Messages, totals.Entries, totals.Delivered, totals.Expired = b.Totals.Messages, b.Totals.Entries, b.Totals.Delivered, b.Totals.Expired
		if b.Full || totals.By == nil {
			totals.By = map[ledger.Name]uint64{}
		}
		for name, n := range b.Totals.By {
			totals.By[name] = n
		}
		return nil
	}
	if err := ledger.Read(p.t.Context(), js, "dlog", ledger.Window{}, read); err != nil {
		p.t.Fatalf("read ledger: %v", err)
	}
	bySeq := map[uint64]ledger.Record{}
	for _, r := range records {
		if _, twice := bySeq[r.Seq]; twice {
			p.t.Errorf("message %d of IN is recorded twice", r.Seq)
		}
		bySeq[r.Seq] = r
	}
	sums := ledger.Totals{By: paid}
	o := &oracle{set: p.oracle.set, plans: map[string]*rule.Plan{}}
	unrecorded := 0
	err := stream.Read(p.t.Context(), js, stream.ReadConfig{Stream: "DLOG_IN", StopAtEnd: true}, func(pk stream.Pack) error {
		r, ok := bySeq[pk.Seq]
		if !ok {
			unrecorded++
			return nil
		}
		delete(bySeq, pk.Seq)
		want := o.expected(p.t, pk)
		if !r.At.Equal(pk.Time) || text(r) != text(want) {
			p.t.Errorf("message %d: the ledger says %s, right is %s", pk.Seq, text(r), text(want))
		}
		sums.Messages++
		sums.Entries += r.Entries
		sums.Delivered += r.Delivered
		for _, c := range r.Counts {
			sums.By[c.Name] += c.N
		}
		return nil
	})
	if err != nil {
		p.t.Fatalf("read IN: %v", err)
	}
	if len(bySeq) > 0 || (all && unrecorded > 0) {
		p.t.Errorf("%d records speak of messages that are not in IN, %d messages are not recorded", len(bySeq), unrecorded)
	}
	if have, want := fmt.Sprintf("%+v", totals), fmt.Sprintf("%+v", sums); have != want {
		p.t.Errorf("the running totals are\n%s, the sums of the records\n%s", have, want)
	}
	p.t.Logf("audit: %d messages recorded, %d not yet, %d entries: %d delivered, %d dropped, %d dead", sums.Messages, unrecorded, sums.Entries, sums.Delivered, sums.Of(ledger.Dropped), sums.Of(ledger.Dead))
}

// text is a record without its times, its counts in order. What was put aside for a stream counts as stored.
func text(r ledger.Record) string {
	by := map[string]uint64{}
	for _, c := range r.Counts {
		k := c.Kind
		if k == ledger.Owed {
			k = ledger.Stored
		}
		by[string(rune(k))+" "+c.Name.Name] += c.N
	}
	return fmt.Sprintln(r.Seq, r.Entries, r.Delivered, by)
}

// judge asks for each dropped entry why it is absent.
func (p *producer) judge(js jetstream.JetStream) {
	p.t.Helper()
	var index ledger.Index
	if err := ledger.Read(p.t.Context(), js, "dlog", ledger.Window{}, func(b *ledger.Batch) error { index.Add(b); return nil }); err != nil {
		p.t.Fatal(err)
	}
	wrong := 0
	for _, w := range p.drops {
		if got := index.Rule(w.trace, "", w.number); got != p.oracle.set.Rules[w.rule].Name {
			wrong++
		}
	}
	if wrong > 0 {
		p.t.Errorf("of %d entries that rules dropped %d are not explained, or wrongly", len(p.drops), wrong)
	}
	p.t.Logf("%d dropped entries, each explained by its rule", len(p.drops))
}

// checkDead compares the dead letters: each there, nothing else.
func (p *producer) checkDead(js jetstream.JetStream) {
	p.t.Helper()
	have := map[string]map[int]int{"json": {}, "rule": {}}
	err := stream.Read(p.t.Context(), js, stream.ReadConfig{Stream: "DLOG_DEAD", StopAtEnd: true}, func(pk stream.Pack) error {
		s, err := subject.Parse(pk.Subject)
		if err != nil || have[s.Reason] == nil {
			p.t.Fatalf("dead letter on %s: %v", pk.Subject, err)
		}
		for line := range stream.Lines(pk.Data) {
			if n := number(line); !pk.Again || have[s.Reason][n] == 0 {
				have[s.Reason][n]++
			}
		}
		return nil
	})
	if err != nil {
		p.t.Fatal(err)
	}
	for reason, want := range p.dead {
		missing, twice, extra := 0, 0, 0
		for n := range want {
			if have[reason][n] == 0 {
				missing++
			}
		}
		for n, times := range have[reason] {
			if !want[n] {
				extra++
			}
			if times > 1 {
				twice++
			}
		}
		if missing+twice+extra > 0 {
			p.t.Errorf("dead letters (%s): of %d %d are missing, %d twice without a mark, %d do not belong there", reason, len(want), missing, twice, extra)
		}
	}
}

// checkStreams looks at what lies in the streams: an entry that is there more than once must be marked, but for the first.
func (p *producer) checkStreams(js jetstream.JetStream) {
	p.t.Helper()
	repeated := 0
	for _, s := range p.oracle.set.Streams {
		seen, unmarked, bare := map[int]int{}, map[int]int{}, 0
		err := stream.Read(p.t.Context(), js, stream.ReadConfig{Stream: "DLOG_TO_" + s.Name, StopAtEnd: true}, func(pk stream.Pack) error {
			for line := range stream.Lines(pk.Data) {
				n := number(line)
				seen[n]++
				if !pk.Again {
					unmarked[n]++
				}
			}
			return nil
		})
		if err != nil {
			p.t.Fatal(err)
		}
		for n, times := range seen {
			repeated += times - 1
			if unmarked[n] > 1 {
				bare++
			}
		}
		if bare > 0 {
			p.t.Errorf("%s: %d entries are there twice without a mark", s.Name, bare)
		}
	}
	p.t.Logf("in the streams %d entries lie a second time, each marked", repeated)
}

// number finds the number of an entry in its line.
func number(line []byte) int {
	for _, mark := range []string{`"seq":`, "n="} {
		if i := bytes.LastIndex(line, []byte(mark)); i >= 0 {
			end := i + len(mark)
			for end < len(line) && line[end] >= '0' && line[end] <= '9' {
				end++
			}
			n, _ := strconv.Atoi(string(line[i+len(mark) : end]))
			return n
		}
	}
	return 0
}

// underway waits until no more than this many packs of the producer are un-acked.
func (p *producer) underway(ctx context.Context, most int) {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for p.lane.Waiting() > most {
		select {
		case <-ctx.Done():
			p.t.Fatal("the producer's packs are not acked")
		case <-t.C:
		}
	}
}
