package router_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
)

// The worlds that random rules are about.
var (
	services = []string{"gateway", "checkout", "payments", "inventory", "mailer"}
	levels   = []string{"debug", "info", "warn", "error"}
	names    = []string{"-", "place-order", "place-order.charge-card", "refund"}
)

// said is one entry as it was said: what the rules can see of it.
type said struct {
	service, level int
	k              int
}

// model is a rule as the test understands it, independent of how the router does.
type model struct {
	services []int // any when empty
	atLeast  int   // level
	k        int   // any when negative
	drop     bool
	last     bool
	to       []int
}

func (m model) matches(e said) bool {
	return (len(m.services) == 0 || slices.Contains(m.services, e.service)) && e.level >= m.atLeast && (m.k < 0 || m.k == e.k)
}

// decide lists the streams of an entry, and the rule that dropped it where there are none, as the design says.
func decide(rules []model, e said) (to []int, dropped int) {
	for i, m := range rules {
		if !m.matches(e) {
			continue
		}
		if m.drop {
			return to, i
		}
		for _, s := range m.to {
			if !slices.Contains(to, s) {
				to = append(to, s)
			}
		}
		if m.last {
			break
		}
	}
	if len(to) == 0 {
		return []int{0}, -1 // the default
	}
	return to, -1
}

const streams = 5

func streamName(i int) string { return fmt.Sprintf("s%d", i) }

func randomRules(r *rand.Rand, n int) (rules []model) {
	for range n {
		m := model{atLeast: r.IntN(len(levels)), k: -1, drop: r.IntN(4) == 0, last: r.IntN(4) == 0}
		if r.IntN(3) > 0 {
			m.services = r.Perm(len(services))[:1+r.IntN(2)]
		}
		if r.IntN(2) == 0 {
			m.k = r.IntN(8)
		}
		if !m.drop {
			m.to = r.Perm(streams)[:1+r.IntN(2)]
		}
		rules = append(rules, m)
	}
	return rules
}

// toml writes the rules as an operator would.
func toml(rules []model) string {
	var b strings.Builder
	for i := range streams {
		fmt.Fprintf(&b, "[[stream]]\nname = %q\n\n", streamName(i))
	}
	fmt.Fprintf(&b, "[default]\nto = [%q]\n\n", streamName(0))
	for i, m := range rules {
		match := []string{fmt.Sprintf("level = %q", ">="+levels[m.atLeast])}
		if len(m.services) > 0 {
			var all []string
			for _, s := range m.services {
				all = append(all, fmt.Sprintf("%q", services[s]))
			}
			match = append(match, "service = ["+strings.Join(all, ", ")+"]")
		}
		if m.k >= 0 {
			match = append(match, fmt.Sprintf("k = %d", m.k))
		}
		fmt.Fprintf(&b, "[[rule]]\nname = \"r%d\"\nmatch = { %s }\n", i, strings.Join(match, ", "))
		if m.drop {
			b.WriteString("drop = true\n\n")
			continue
		}
		var to []string
		for _, s := range m.to {
			to = append(to, fmt.Sprintf("%q", streamName(s)))
		}
		fmt.Fprintf(&b, "to = [%s]\n", strings.Join(to, ", "))
		if m.last {
			b.WriteString("last = true\n")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// producer says entries through everything that happens, and keeps the ledger: which entry should be in which stream.
type producer struct {
	rnd    *rand.Rand
	rules  []model
	lane   *stream.Lane
	acked  sync.WaitGroup
	n      int
	expect [streams]map[int]bool
	drops  map[string]int // entries that went nowhere, by rule
	// last number of an entry by subject, for the order
	subjects map[int]string
}

func newProducer(t *testing.T, c *client, rnd *rand.Rand, rules []model) *producer {
	t.Helper()
	pub, err := stream.NewPublisher(c.nc, stream.PublisherConfig{AckWait: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pub.Close)
	p := &producer{rnd: rnd, rules: rules, lane: pub.Lane("DLOG_IN"), subjects: map[int]string{}, drops: map[string]int{}}
	for i := range p.expect {
		p.expect[i] = map[int]bool{}
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

// pack says 1 to 40 entries of one subject.
func (p *producer) pack() {
	e := said{service: p.rnd.IntN(len(services)), level: p.rnd.IntN(len(levels))}
	tail := services[e.service] + "." + levels[e.level] + "." + names[p.rnd.IntN(len(names))]
	pk := stream.Pack{Subject: "dlog.in." + tail, ID: fmt.Sprint("p", p.n), Count: 1 + p.rnd.IntN(40)}
	for range pk.Count {
		e.k = p.rnd.IntN(8)
		p.n++
		to, dropped := decide(p.rules, e)
		for _, s := range to {
			p.expect[s][p.n] = true
		}
		if len(to) == 0 {
			p.drops[fmt.Sprint("r", dropped)]++
		}
		p.subjects[p.n] = tail
		pk.Data = fmt.Appendf(pk.Data, `{"level":%q,"n":%d,"k":%d,"message":"some text that makes the line as long as usual"}`+"\n", levels[e.level], p.n, e.k)
	}
	m := &nats.Msg{}
	pk.Msg(m)
	p.acked.Add(1)
	p.lane.Send(&stream.Delivery{Msg: m, Owner: p})
}

// verify compares the streams with the ledger: each entry exactly once where it belongs, under its subject, nothing else. With
// again it may be there a second time if that says so.
func (p *producer) verify(t *testing.T, c *client, again bool) {
	t.Helper()
	p.verifyLedger(t, c)
	for i := range p.expect {
		seen, unmarked := map[int]int{}, map[int]int{}
		for _, pk := range c.everything("DLOG_TO_" + streamName(i)) {
			for line := range stream.Lines(pk.Data) {
				n := number(t, string(line))
				seen[n]++
				if !pk.Again {
					unmarked[n]++
				}
				if want := "dlog.to." + streamName(i) + "." + p.subjects[n]; pk.Subject != want {
					t.Fatalf("entry %d is on %s, want %s", n, pk.Subject, want)
				}
			}
		}
		missing, extra, twice, hidden := 0, 0, 0, 0
		for n := range p.expect[i] {
			if seen[n] == 0 {
				missing++
			}
		}
		for n, times := range seen {
			if !p.expect[i][n] {
				extra++
			}
			if times > 1 {
				twice++
			}
			if unmarked[n] > 1 {
				hidden++
			}
		}
		if missing+extra+hidden > 0 || (twice > 0 && !again) {
			t.Errorf("%s: of %d entries %d are missing, %d twice (%d of them without a mark), %d do not belong there", streamName(i), len(p.expect[i]), missing, twice, hidden, extra)
		}
		if again {
			t.Logf("%s: of %d entries %d are there twice, each marked Dlog-Again", streamName(i), len(p.expect[i]), twice)
		}
	}
}

// verifyLedger compares the routers' ledger with the one kept outside: each entry is counted once, however often it was routed.
func (p *producer) verifyLedger(t *testing.T, c *client) {
	t.Helper()
	have := c.totals("dlog")
	for i := range p.expect {
		if got := have.By[ledger.Name{Kind: ledger.Stored, Name: streamName(i)}]; got != uint64(len(p.expect[i])) {
			t.Errorf("ledger: %d entries in %s, want %d", got, streamName(i), len(p.expect[i]))
		}
	}
	dropped := 0
	for rule, n := range p.drops {
		if got := have.By[ledger.Name{Kind: ledger.Dropped, Name: rule}]; got != uint64(n) {
			t.Errorf("ledger: %d entries dropped by %s, want %d", got, rule, n)
		}
		dropped += n
	}
	if have.Entries != uint64(p.n) || have.Delivered != uint64(p.n-dropped) || have.Of(ledger.Dropped) != uint64(dropped) || have.Of(ledger.Dead) != 0 || have.Expired != 0 {
		t.Errorf("ledger: %d entries, %d delivered, %d dropped, %d dead, %d messages expired; said were %d, of which %d to be dropped",
			have.Entries, have.Delivered, have.Of(ledger.Dropped), have.Of(ledger.Dead), have.Expired, p.n, dropped)
	}
}

// freePort finds a port for a server that is to come back where it was.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func seed(t *testing.T) *rand.Rand {
	s := uint64(time.Now().UnixNano())
	t.Logf("seed %d", s)
	return rand.New(rand.NewPCG(s, 0))
}

// TestKilled: the router and its server are killed again and again in the middle of random entries and random rules.
func TestKilled(t *testing.T) {
	t.Parallel()
	total, kills := 100_000, 5
	if testing.Short() {
		total, kills = 20_000, 2
	}
	rnd := seed(t)
	rules := randomRules(rnd, 12)
	config := write(t, toml(rules)+fmt.Sprintf("[server]\nlisten = %q\nhttp = \"off\"\ndata = %q\n", freePort(t), filepath.Join(t.TempDir(), "data")))
	router := spawn(t, config)
	c := dial(t, router.url)
	p := newProducer(t, c, rnd, rules)
	for kill := range kills {
		for p.n < total*(kill+1)/kills {
			p.pack()
		}
		p.underway(total / kills / 20 / 3) // a third of these packs is still on its way
		c.behind(t, "DLOG_IN")
		router.kill()
		router = spawn(t, config)
	}
	p.acked.Wait()
	c.settled("DLOG_IN")
	p.verify(t, c, false)
	c.nc.Close()
	if err := router.terminate(); err != nil {
		t.Errorf("clean stop: %v", err)
	}
}

// TestKilledForLong: the router and its server are away for longer than the server recognizes ids. What is then stored a second
// time is marked, all of it.
func TestKilledForLong(t *testing.T) {
	if testing.Short() {
		t.Skip("takes longer than the duplicate window")
	}
	t.Parallel()
	rnd := seed(t)
	rules := randomRules(rnd, 12)
	config := write(t, toml(rules)+fmt.Sprintf("[server]\nlisten = %q\nhttp = \"off\"\ndata = %q\n", freePort(t), filepath.Join(t.TempDir(), "data")))
	router := spawn(t, config)
	c := dial(t, router.url)
	p := newProducer(t, c, rnd, rules)
	for p.n < 100_000 {
		p.pack()
	}
	p.acked.Wait() // so that IN holds nothing twice
	c.behind(t, "DLOG_IN")
	router.kill()
	<-time.After(stream.DuplicateWindow + 2*time.Second)
	router = spawn(t, config)
	c.settled("DLOG_IN")
	p.verify(t, c, true)
	c.nc.Close()
	if err := router.terminate(); err != nil {
		t.Errorf("clean stop: %v", err)
	}
}

// underway waits until no more than this many packs of the producer are un-acked.
func (p *producer) underway(most int) {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for p.lane.Waiting() > most {
		<-t.C
	}
}

// behind logs how much the routers have yet to do.
func (c *client) behind(t *testing.T, in string) {
	t.Helper()
	cons, err := c.js.Consumer(t.Context(), in, "router")
	if err != nil {
		t.Fatal(err)
	}
	i := cons.CachedInfo()
	t.Logf("now, with %d messages un-acked by the routers and %d not yet given to them", i.NumAckPending, i.NumPending)
}

// TestSeveralRouters: routers on one server share the work; one is killed, one is stopped, another comes.
func TestSeveralRouters(t *testing.T) {
	t.Parallel()
	total := 60_000
	if testing.Short() {
		total = 15_000
	}
	srv, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	rnd := seed(t)
	rules := randomRules(rnd, 12)
	config := write(t, toml(rules)+fmt.Sprintf("[server]\nhttp = \"off\"\n[nats]\nurls = [%q]\n", srv.URL()))
	first, second := spawn(t, config), spawn(t, config)
	c := dial(t, srv.URL())
	p := newProducer(t, c, rnd, rules)
	say := func(until int) {
		for p.n < until {
			p.pack()
		}
		p.underway(total / 3 / 20 / 3)
		c.behind(t, "DLOG_IN")
	}
	say(total / 3)
	first.kill()
	say(total * 2 / 3)
	third := spawn(t, config)
	if err := second.terminate(); err != nil {
		t.Errorf("clean stop: %v", err)
	}
	say(total)
	p.acked.Wait()
	c.settled("DLOG_IN")
	p.verify(t, c, false)
	c.nc.Close()
	if err := third.terminate(); err != nil {
		t.Errorf("clean stop: %v", err)
	}
}

// TestServerRestarts: a server of its own goes away and comes back under a router that stays.
func TestServerRestarts(t *testing.T) {
	data := t.TempDir()
	start := func(listen string) *natsd.Server {
		srv, err := natsd.Start(t.Context(), natsd.Config{Listen: listen, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(srv.Close)
		return srv
	}
	srv := start("127.0.0.1:0")
	rnd := seed(t)
	rules := randomRules(rnd, 12)
	r := run(t, load(t, toml(rules)+fmt.Sprintf("[server]\nhttp = \"127.0.0.1:0\"\n[nats]\nurls = [%q]\n", srv.URL())))
	c := dial(t, srv.URL())
	p := newProducer(t, c, rnd, rules)
	for range 3 {
		for until := p.n + 10_000; p.n < until; {
			p.pack()
		}
		r.balance()
		at := srv.Addr()
		srv.Close()
		r.balance()
		srv = start(at)
	}
	p.acked.Wait()
	c.settled("DLOG_IN")
	p.verify(t, c, false)
	m := r.balance()
	if m["dlog_router_entries_in_flight"] != 0 || m["dlog_router_messages_in_hand"] != 0 {
		t.Errorf("not settled: %v", m)
	}
	c.nc.Close()
	r.stop()
}
