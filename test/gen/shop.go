package gen

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

var serviceNames = []string{"gateway", "checkout", "stock", "payments", "mailer", "search", "accounts", "shipping"}

// goals of each service, the first one the commonest.
var goals = [][]string{
	{"serve-request", "authenticate", "limit-rate", "render-page", "load-session", "proxy-call"},
	{"place-order", "price-basket", "apply-coupon", "write-order", "check-stock", "split-order"},
	{"reserve-stock", "read-shelf", "release-stock", "count-shelf", "move-pallet", "order-supply"},
	{"charge-card", "check-fraud", "call-bank", "write-ledger", "refund-card", "settle-day"},
	{"send-receipt", "render-template", "deliver-smtp", "watch-bounce", "sign-mail", "store-copy"},
	{"find-goods", "rank-hits", "read-index", "suggest-words", "write-index", "merge-index"},
	{"read-profile", "store-profile", "hash-password", "check-token", "merge-accounts", "log-consent"},
	{"plan-route", "book-carrier", "print-label", "track-parcel", "weigh-parcel", "clear-customs"},
}

var messages = []string{
	"read %d rows of table %s", "cache miss for key %[2]s:%[1]d, asking upstream", "retrying call to %[2]s, attempt %[1]d", "took connection %d of pool %s",
	"validated %d fields of document %s", "lock on %[2]s held by worker %[1]d", "queue %[2]s holds %[1]d waiting items", "response of %d bytes from %s",
	"token of user %d accepted by %s", "wrote page %d of %s to disk", "price of item %d taken from %s", "skipped %d stale records in %s",
}

var nouns = []string{
	"orders", "customers", "baskets", "ledger", "shelf", "coupons", "templates", "sessions", "tokens", "invoices", "warehouses", "carriers", "parcels", "returns",
	"ratings", "currencies", "vouchers", "addresses", "suppliers", "pallets",
}

var troubles = []string{
	"context deadline exceeded", "connection reset by peer", "deadlock detected by database", "card declined by issuer", "no such shelf", "tls handshake timeout",
	"quota of tenant exhausted", "checksum mismatch",
}

func birthBody(name string, rng *rand.Rand) string {
	return fmt.Sprintf(`"pid":%d,"host":"node-%d.example","program":"/usr/bin/%s","go":"go1.26.8","os":"linux","arch":"amd64"`, 1000+rng.IntN(60000), rng.IntN(12), name)
}

// order makes an outermost task with all below it.
func (g *Generator) order() {
	g.task(spec{
		trace: g.trace(g.clock), service: pick(g.rng, len(g.services)), at: g.clock, fail: g.rng.Float64() < g.cfg.Failures,
		fields: fmt.Sprintf(`"order":"o-%08d","user":%d`, g.rng.IntN(1e8), g.rng.IntN(1e6)),
	})
}

// pick prefers low numbers: shares are uneven.
func pick(rng *rand.Rand, n int) int {
	f := rng.Float64()
	return int(f * f * float64(n))
}

// spec is what a task is made of.
type spec struct {
	trace   task.Trace
	pos     task.Position
	path    string
	service int
	goal    int // of the service
	depth   int
	at      int64
	fail    bool
	fields  string
}

// writer numbers the entries of one task.
type writer struct {
	g       *Generator
	s       spec
	n       uint64
	at      int64
	started int64
	name    string
}

func (w *writer) next() task.Position {
	w.n++
	return w.s.pos.Child(w.n)
}

func (w *writer) say(level entry.Level, event entry.Event, message, body string) {
	it := item{
		at: w.at, started: w.started, service: w.g.services[w.s.service], level: level, event: event,
		trace: w.s.trace, pos: w.next(), path: w.s.path, body: body, message: message,
	}
	if event == entry.End {
		it.n = w.n
		it.outcome = task.Succeeded
		if w.s.fail {
			it.outcome = task.Failed
		}
	}
	w.g.push(it)
}

func (w *writer) wait(meanMS float64) { w.at += int64(w.g.rng.ExpFloat64()*meanMS*1e6) + 1000 }

func (g *Generator) begin(s spec) *writer {
	name := goals[s.service][s.goal]
	s.path = task.JoinPath(s.path, name)
	w := &writer{g: g, s: s, at: s.at, started: s.at, name: name}
	w.say(entry.Debug, entry.Start, name, s.fields)
	return w
}

// end ends the task and returns when.
func (w *writer) end() int64 {
	w.wait(2)
	level, body := entry.Info, w.s.fields
	if w.s.fail {
		level = entry.Error
		body += `,"error":"` + w.g.trouble() + `"`
	}
	w.say(level, entry.End, w.name, body)
	return w.at
}

func (g *Generator) trouble() string {
	return fmt.Sprintf("%s: %s %d", troubles[g.rng.IntN(len(troubles))], nouns[g.rng.IntN(len(nouns))], g.rng.IntN(1e5))
}

// task makes a task with its entries and sub-tasks and returns when it ended.
func (g *Generator) task(s spec) int64 {
	w := g.begin(s)
	for range 1 + g.rng.IntN(5) {
		w.wait(40)
		w.chatter()
	}
	children := 0
	if s.depth < 3 {
		children = g.rng.IntN(4)
	}
	for i := range children {
		w.wait(20)
		w.child(s.fail && i == children-1)
		w.chatter()
	}
	return w.end()
}

// child makes a sub-task, often in another service: then it is handed over. A program calls the same things again and again: an outermost task has
// three kinds of sub-tasks, those below have one each, so a service has about ten paths.
func (w *writer) child(fail bool) {
	g := w.g
	s := spec{trace: w.s.trace, path: w.s.path, service: w.s.service, depth: w.s.depth + 1, fail: fail, fields: w.s.fields}
	kind := w.s.goal
	if w.s.depth == 0 {
		kind = 1 + pick(g.rng, 3)
	}
	if (kind+s.depth)%2 == 0 {
		s.service = (w.s.service + kind + s.depth) % len(goals)
	}
	s.goal = (kind + s.depth - 1) % len(goals[0])
	if s.service == w.s.service {
		s.pos = w.next()
	} else {
		w.say(entry.Debug, entry.Export, "to "+serviceNames[s.service], `"to":"`+serviceNames[s.service]+`","id":"`+token(g.rng)+`"`)
		s.pos = w.s.pos.Child(w.n).Claim(g.attempt())
		w.wait(1)
	}
	s.at = w.at
	w.at = g.task(s)
}

// chatter says something that the service's author found worth saying.
func (w *writer) chatter() {
	rng := w.g.rng
	level := entry.Debug
	switch x := rng.Float64(); {
	case x < 0.02:
		level = entry.Error
	case x < 0.10:
		level = entry.Warn
	case x < 0.40:
		level = entry.Info
	}
	text := fmt.Sprintf(messages[rng.IntN(len(messages))], rng.IntN(100000), nouns[rng.IntN(len(nouns))])
	w.say(level, "", text, body(rng, level, w.g))
}

// body makes the fields of an entry: mostly few, sometimes very many.
func body(rng *rand.Rand, level entry.Level, g *Generator) string {
	var b strings.Builder
	fmt.Fprintf(&b, `"%s":%d,"id":"%s"`, nouns[rng.IntN(len(nouns))], rng.IntN(1e6), token(rng))
	if rng.IntN(12) != 0 {
		fmt.Fprintf(&b, `,"took_ms":%.3f`, rng.ExpFloat64()*20)
	}
	if rng.IntN(3) != 0 {
		fmt.Fprintf(&b, `,"peer":"10.%d.%d.%d:%d"`, rng.IntN(4), rng.IntN(256), rng.IntN(256), 30000+rng.IntN(20000))
	}
	if rng.IntN(3) != 0 {
		fmt.Fprintf(&b, `,"sku":"%c%c-%05d"`, 'A'+rng.IntN(26), 'A'+rng.IntN(26), rng.IntN(1e5))
	}
	if level >= entry.Error {
		fmt.Fprintf(&b, `,"error":"%s"`, g.trouble())
	}
	if rng.IntN(80) == 0 {
		b.WriteString(`,"query":"`)
		for n := 10 + rng.IntN(120); n > 0; n-- {
			fmt.Fprintf(&b, "%s=%d ", nouns[rng.IntN(len(nouns))], rng.IntN(1000))
		}
		b.WriteByte('"')
	}
	return b.String()
}

// token is 22 letters and digits, as an id of 128 bits has in base 62.
func token(rng *rand.Rand) string {
	const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	var b [22]byte
	for i := range b {
		b[i] = alphabet[rng.IntN(len(alphabet))]
	}
	return string(b[:])
}

// longTask runs from the beginning to the end.
func (g *Generator) longTask() {
	w := g.begin(spec{trace: g.trace(g.clock), service: 5, at: g.clock + 1e6, fields: `"shift":"day"`})
	end := g.clock + int64(float64(g.cfg.Entries)/g.cfg.Rate*1e9)
	for w.at += 60e9; w.at < end; w.at += 60e9 {
		w.chatter()
	}
	w.end()
}

// hugeTask has very many entries in a short time.
func (g *Generator) hugeTask() {
	w := g.begin(spec{trace: g.trace(g.clock), service: 7, at: g.clock, fields: `"batch":"night"`})
	for range g.cfg.Huge - 2 {
		w.at += 600e9 / int64(g.cfg.Huge)
		w.chatter()
	}
	w.end()
}
