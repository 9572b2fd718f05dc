package router

import (
	"slices"
	"strconv"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// maxPlans bounds how many subjects a worker remembers what the rules mean for.
const maxPlans = 16384

// partBytes is where a copy is divided into several messages: rules may make lines longer, and a server takes 1 MiB.
const partBytes = 512 << 10

// worker routes the messages of its share of the subjects, in order. It belongs to one goroutine.
type worker struct {
	engine *engine
	in     chan *hand
	gen    *generation // the rules of what follows
	plans  map[string]*planned
	d      rule.Decision
	outs   []out // by slot
	used   []int // slots with something in outs
	asked  []int // entries matched, by rule
	drops  []int // entries dropped, by rule
	rules  []int // rules with something in asked; those in drops are among them
	failed []failed
	hidden withholder
}

// failed gathers the lines that a rule could not be applied to.
type failed struct {
	rule    int
	why     rule.Fault // of the first
	data    []byte
	entries int
	dead    int // of these, those without a copy made before
}

// planned is what is known of a subject.
type planned struct {
	subject subject.Subject
	plan    *rule.Plan
	whole   *rule.Decision // set when the subject alone decides
	to      []string       // subjects in the streams, made when first needed
}

// levels is how many levels the copies of a message may travel under: its own, and whatever rules make of it.
const levels = 1 + int(entry.None-entry.Trace) + 1

// slot is the place of a stream's copies under a level, which is "" for the message's own.
func (w *worker) slot(stream int, level string) int {
	n := 0
	if level != "" {
		l, _ := entry.ParseLevel(level)
		n = 1 + int(l-entry.Trace)
	}
	return n*len(w.gen.to) + stream
}

// maxParts is more than a message can have for one stream and level.
const maxParts = 1 << 16

// out gathers the lines of one message for one slot.
type out struct {
	level string
	data  []byte
	count int
	sole  int
	parts int
}

func newWorker(e *engine) *worker {
	return &worker{engine: e, in: make(chan *hand, handPacks+owedPacks), plans: map[string]*planned{}}
}

// follow takes over new rules. Between two messages nothing of the old ones is left.
func (w *worker) follow(g *generation) {
	w.gen = g
	clear(w.plans)
	w.outs = make([]out, levels*len(g.to))
	w.asked, w.drops = make([]int, len(g.set.Rules)), make([]int, len(g.set.Rules))
}

// run routes until its channel is closed.
func (w *worker) run() {
	for h := range w.in {
		w.route(h)
		h.data = nil // the copies have what they need
		h.finish()
	}
}

// route makes the deliveries of one message. It never waits.
func (w *worker) route(h *hand) {
	if g := w.engine.rules.Load(); g != w.gen {
		w.follow(g)
	}
	h.gen = w.gen
	p, err := stream.DecodePack(h.subject, h.headers, h.data, stream.Limits{})
	h.again = h.again || p.Again
	if err != nil {
		w.dead(h, reasonOf(err), err, h.data, 1)
		h.tally.entries = 1
		w.engine.count.arrived(1)
		return
	}
	h.tally.entries = p.Count
	w.engine.count.arrived(p.Count)
	if p.Count == 0 {
		return
	}
	pl, err := w.planFor(h.subject)
	switch {
	case err != nil:
		w.dead(h, ReasonSubject, err, h.data, p.Count)
	case pl.whole != nil && w.engine.carries(len(h.data)):
		w.moveWhole(h, &p, pl)
	default:
		w.lines(h, &p, pl)
	}
}

// ReasonSubject is the reason of dead letters whose subject says neither service nor level.
const ReasonSubject stream.Reason = "subject"

func reasonOf(err error) stream.Reason {
	if r := stream.ReasonOf(err); r != "" {
		return r
	}
	return stream.ReasonEncoding
}

func (w *worker) planFor(name string) (*planned, error) {
	if pl := w.plans[name]; pl != nil {
		return pl, nil
	}
	s, err := subject.Parse(name)
	if err != nil {
		return nil, err
	}
	pl := &planned{subject: s, plan: w.gen.set.Plan(s), to: make([]string, len(w.gen.to))}
	if d, ok := pl.plan.Whole(); ok {
		pl.whole = &d
	}
	if len(w.plans) >= maxPlans {
		clear(w.plans) // subjects with ids in them; the usual ones are back at once
	}
	w.plans[name] = pl
	return pl, nil
}

func (w *worker) target(pl *planned, name string, i int) string {
	if pl.to[i] == "" {
		pl.to[i] = subject.InToTo(name, w.engine.ns, w.gen.to[i].name)
	}
	return pl.to[i]
}

// moveWhole sends the message as it came wherever its subject says.
func (w *worker) moveWhole(h *hand, p *stream.Pack, pl *planned) {
	d := pl.whole
	w.tally(h, d, p.Count)
	if dropped(d) {
		for line := range stream.Lines(p.Data) {
			w.hide(pl, d, line)
		}
	}
	sole := 0
	if len(d.Streams) == 1 {
		sole = p.Count
	}
	for _, i := range d.Streams {
		w.send(h, i, w.target(pl, p.Subject, i), h.data, p.Encoding, p.Count, sole, 0)
	}
	w.flushRules(h)
}

// lines asks the rules about each line.
func (w *worker) lines(h *hand, p *stream.Pack, pl *planned) {
	var bad []byte
	nbad := 0
	var why error
	for line := range stream.Lines(p.Data) {
		if err := pl.plan.Eval(line, &w.d); err != nil {
			bad = append(append(bad, line...), '\n')
			nbad, why = nbad+1, err
			continue
		}
		w.tally(h, &w.d, 1)
		if dropped(&w.d) {
			w.hide(pl, &w.d, line)
		}
		for n, i := range w.d.Streams {
			c := &w.d.Copies[n]
			w.add(h, p, pl, w.slot(i, c.Level), c)
		}
		if w.d.Dead >= 0 {
			w.fail(line)
		}
	}
	for _, slot := range w.used {
		w.flush(h, p, pl, slot)
		w.outs[slot].parts = 0
	}
	w.used = w.used[:0]
	w.flushRules(h)
	w.flushFailed(h)
	if nbad > 0 {
		w.dead(h, stream.ReasonJSON, why, bad, nbad)
	}
}

// tally counts what was decided for n entries. Rules that send an entry nowhere and do not drop it leave it to the default,
// which has at least one stream.
func (w *worker) tally(h *hand, d *rule.Decision, n int) {
	for _, r := range d.Rules {
		if w.asked[r] == 0 {
			w.rules = append(w.rules, r)
		}
		w.asked[r] += n
	}
	switch {
	case len(d.Streams) == 0 && d.Dead >= 0:
		return // counted with its dead letter
	case len(d.Streams) == 0:
		w.drops[d.Dropped] += n
		return
	}
	h.tally.delivered += n
	if d.Default {
		h.tally.byDefault += n
	}
}

// dropped reports whether a rule ended the entry before it went anywhere.
func dropped(d *rule.Decision) bool { return len(d.Streams) == 0 && d.Dropped >= 0 && d.Dead < 0 }

// hide notes where the entry stood, so that readers learn why it is absent.
func (w *worker) hide(pl *planned, d *rule.Decision, line []byte) {
	if pl.subject.Names != "" { // within a task
		w.hidden.add(d.Dropped, line)
	}
}

func (w *worker) flushRules(h *hand) {
	h.tally.withheld = w.hidden.take()
	if len(w.rules) == 0 {
		return
	}
	h.tally.matched = make([]ruleCount, 0, len(w.rules))
	for _, r := range w.rules {
		h.tally.matched = append(h.tally.matched, ruleCount{r, w.asked[r]})
		if w.drops[r] > 0 {
			h.tally.dropped = append(h.tally.dropped, ruleCount{r, w.drops[r]})
		}
		w.asked[r], w.drops[r] = 0, 0
	}
	w.rules = w.rules[:0]
}

// fail notes a line that a rule could not be applied to, as it was said.
func (w *worker) fail(line []byte) {
	i := slices.IndexFunc(w.failed, func(f failed) bool { return f.rule == w.d.Dead })
	if i < 0 {
		i = len(w.failed)
		w.failed = append(w.failed, failed{rule: w.d.Dead, why: w.d.Fault})
	}
	f := &w.failed[i]
	f.data = append(append(f.data, line...), '\n')
	f.entries++
	if len(w.d.Streams) == 0 {
		f.dead++
	}
}

func (w *worker) flushFailed(h *hand) {
	for i := range w.failed {
		f := &w.failed[i]
		h.tally.failed = append(h.tally.failed, ruleCount{f.rule, f.entries})
		if f.dead > 0 {
			h.tally.dead = append(h.tally.dead, reasonCount{stream.ReasonRule, f.dead})
		}
		w.engine.letter(h, letter{
			reason: stream.ReasonRule, why: &f.why, rule: w.gen.set.Rules[f.rule].Name, part: strconv.Itoa(f.rule),
			data: f.data, entries: f.entries,
		})
	}
	clear(w.failed)
	w.failed = w.failed[:0]
}

// add puts a line into the copies of a slot.
func (w *worker) add(h *hand, p *stream.Pack, pl *planned, slot int, c *rule.Copy) {
	o := &w.outs[slot]
	if o.count == 0 && o.parts == 0 {
		w.used = append(w.used, slot)
	}
	if o.count > 0 && len(o.data)+len(c.Line)+1 > partBytes {
		w.flush(h, p, pl, slot)
	}
	switch need := len(o.data) + len(c.Line) + 1; {
	case o.data == nil:
		o.data = make([]byte, 0, need) // many copies are of one line
	case need > cap(o.data):
		o.data = append(make([]byte, 0, max(need, min(len(p.Data)+1, partBytes))), o.data...)
	}
	o.level = c.Level
	o.data = append(append(o.data, c.Line...), '\n')
	o.count++
	if len(w.d.Streams) == 1 {
		o.sole++
	}
}

func (w *worker) flush(h *hand, p *stream.Pack, pl *planned, slot int) {
	o := &w.outs[slot]
	if o.count == 0 {
		return
	}
	i := slot % len(w.gen.to)
	to, part := w.target(pl, p.Subject, i), o.parts
	if o.level != "" {
		c := rule.Copy{Level: o.level}
		to = c.Subject(pl.subject, w.engine.ns, w.gen.to[i].name)
		part += maxParts * (slot / len(w.gen.to))
	}
	w.send(h, i, to, o.data, stream.EncodingNone, o.count, o.sole, part)
	o.data, o.count, o.sole = nil, 0, 0
	o.parts++
}

// send hands one delivery to the lane of stream i. data belongs to the delivery from now on.
func (w *worker) send(h *hand, i int, to string, data []byte, encoding string, count, sole, part int) {
	e := w.engine
	o := w.gen.to[i]
	pc := &parcel{hand: h, to: o, part: part, count: count, sole: sole}
	pk := stream.Pack{
		Subject: to, ID: e.id(h, o.name, part), Data: data, Count: count, Again: h.again,
		Total: e.total(o, count),
	}
	m := &nats.Msg{}
	pk.Msg(m)
	if encoding != stream.EncodingNone { // the body is compressed as it came
		m.Header[stream.HdrEncoding] = []string{encoding}
	}
	pc.Msg, pc.Owner = m, pc
	h.tally.sent(o, count)
	h.add(o)
	o.lane.Send(&pc.Delivery)
}

// id is the same each time the same message is routed by the same rules.
func (e *engine) id(h *hand, stream string, part int) string {
	b := make([]byte, 0, 64)
	b = strconv.AppendInt(b, h.at.UnixNano(), 36)
	b = append(b, '.')
	b = strconv.AppendUint(b, h.seq, 36)
	b = append(b, '.')
	b = append(b, stream...)
	b = append(b, '.')
	b = append(b, h.gen.hash...)
	b = append(b, '.')
	return string(strconv.AppendInt(b, int64(part), 10))
}

// total is the running count of entries that this router has sent to a stream, with the router's name.
func (e *engine) total(o *outlet, count int) string {
	n := o.total.Add(uint64(count))
	b := append(make([]byte, 0, 32), e.name...)
	return string(strconv.AppendUint(append(b, ' '), n, 10))
}
