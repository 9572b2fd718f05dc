package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/s2"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
)

// inDir is the configuration without a file, with free ports and a directory of the test's own.
func inDir(t *testing.T) router.Config {
	cfg := router.DefaultConfig()
	cfg.Server = router.Server{Listen: "127.0.0.1:0", Data: t.TempDir(), HTTP: "127.0.0.1:0"}
	return cfg
}

func TestWithoutAFile(t *testing.T) {
	r := run(t, inDir(t))
	c := dial(t, r.addrs.NATS)
	lines := []string{`{"level":"info","message":"hi"}`, `{"a":1}`, `{"dlog":{"svc":"x","seq":"lies"}}`}
	c.say("dlog.in.svc.info.-", lines[0])
	c.say("dlog.in.svc.warn.place-order.charge", strings.Join(lines[1:], "\n"), stream.HdrAgain, "1")
	all := c.first("DLOG_TO_all", 3)
	for i, want := range []string{"dlog.to.all.svc.info.-", "dlog.to.all.svc.warn.place-order.charge", "dlog.to.all.svc.warn.place-order.charge"} {
		if all[i].subject != want || all[i].line != lines[i] {
			t.Errorf("%d: %s on %s, want %s on %s", i, all[i].line, all[i].subject, lines[i], want)
		}
		if again := all[i].header.Get(stream.HdrAgain); (again == "1") != (i > 0) {
			t.Errorf("%d: Dlog-Again is %q", i, again)
		}
	}
	if total := strings.Fields(all[2].header.Get(stream.HdrTotal)); len(total) != 2 || total[1] != "3" {
		t.Errorf("Dlog-Total is %q", total)
	}
	c.settled("DLOG_IN")
	m := r.balance()
	for k, want := range map[string]float64{
		"dlog_router_entries_received_total": 3, "dlog_router_entries_delivered_total": 3, "dlog_router_entries_by_default_total": 3,
		"dlog_router_entries_in_flight": 0, `dlog_router_copies_stored_total{stream="all"}`: 3, "dlog_router_ready": 1,
	} {
		if m[k] != want {
			t.Errorf("%s is %v, want %v", k, m[k], want)
		}
	}
	r.get("/healthz", http.StatusOK)
	r.get("/readyz", http.StatusOK)
	for _, name := range []string{"DLOG_IN", "DLOG_DEAD", "DLOG_CTL"} {
		if _, err := c.js.Stream(t.Context(), name); err != nil {
			t.Errorf("stream %s: %v", name, err)
		}
	}
}

const teams = `
namespace = "shop"

[[stream]]
name = "payments"

[[stream]]
name = "pager"

[[stream]]
name = "rest"

[default]
to = ["rest"]

[[rule]]
name  = "noise"
match = { service = "gateway", message = "health" }
drop  = true

[[rule]]
name  = "payments"
match = { service = "payments" }
to    = ["payments"]

[[rule]]
name  = "trouble"
match = { level = "error" }
to    = ["pager"]
`

func TestRules(t *testing.T) {
	r := run(t, load(t, teams))
	c := dial(t, r.addrs.NATS)
	f := func(subject, data string) { t.Helper(); c.say(subject, data) }
	f("shop.in.gateway.info.-", `{"message":"health","n":1}`+"\n"+`{"message":"GET /","n":2}`+"\n"+`{"message":"health","n":3}`)
	f("shop.in.payments.info.pay", `{"n":4}`+"\n"+`{"n":5}`)
	f("shop.in.payments.error.pay", `{"n":6}`)
	f("shop.in.gateway.error.-", `{"message":"health","n":7}`+"\n"+`{"n":8}`)
	c.settled("SHOP_IN")
	want := map[string]string{
		"payments": "shop.to.payments.payments.info.pay:4 shop.to.payments.payments.info.pay:5 shop.to.payments.payments.error.pay:6",
		"pager":    "shop.to.pager.payments.error.pay:6 shop.to.pager.gateway.error.-:8",
		"rest":     "shop.to.rest.gateway.info.-:2",
	}
	for name, w := range want {
		var have []string
		for _, p := range c.everything("SHOP_TO_" + name) {
			for line := range stream.Lines(p.Data) {
				have = append(have, fmt.Sprintf("%s:%d", p.Subject, number(t, string(line))))
			}
		}
		if w := strings.Fields(w); !slices.Equal(have, w) && !slices.Equal(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(w))) {
			t.Errorf("%s: %v, want %v", name, have, w)
		}
	}
	m := r.balance()
	for k, want := range map[string]float64{
		`dlog_router_entries_dropped_total{rule="noise"}`: 3, "dlog_router_entries_delivered_total": 5,
		"dlog_router_entries_by_default_total": 1, `dlog_router_copies_stored_total{stream="pager"}`: 2,
	} {
		if m[k] != want {
			t.Errorf("%s is %v, want %v", k, m[k], want)
		}
	}
}

// TestBadInput: whatever arrives is kept or dead-lettered with a reason, and takes nothing else with it.
func TestBadInput(t *testing.T) {
	// A rule that asks for a field without naming a service makes the router look at every line.
	r := run(t, load(t, teams+"\n[[rule]]\nname = \"look\"\nmatch = { looked = true }\nto = [\"pager\"]\n"))
	c := dial(t, r.addrs.NATS)
	good := 0
	say := func(subject, data string, goodLines int, headers ...string) {
		c.say(subject, data, headers...)
		good += goodLines
	}
	deep := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	wide := `{"n":1` + strings.Repeat(`,"k":1`, 10000) + `}`
	say("shop.in.a.info.-", "{\"n\":1}\nnot json\n{\"n\":2", 1)               // half a line at the end
	say("shop.in.a.info.-", "{\"n\":3}\n[1,2]\n\"text\"\n\n{\"n\":4}\r\n", 2) // JSON, but no objects
	say("shop.in.a.info.-", "{\"s\":\"\xff\xfe\"}\n{\"n\":5}", 1)             // invalid UTF-8: kept or dead, not more
	say("shop.in.a.info.-", `{"dlog":"a string"}`, 1)
	say("shop.in.a.info.-", `{"dlog":{"svc":1,"trace":"zz","pos":"x.y","seq":-4}}`, 1)
	say("shop.in.a.info.-", deep+"\n"+`{"n":6}`, 1)
	say("shop.in.a.info.-", wide, 1)
	say("shop.in.a.info.-", `{"n":7,"big":"`+strings.Repeat("x", 900<<10)+`"}`, 1)
	say("shop.in.a.info.-", "", 0)
	say("shop.in.a.info.-", "\x00\x01\x02", 0)
	say("shop.in.a", `{"n":8}`, 1)
	say("shop.in.a.nolevel.-", `{"n":9}`, 1)
	say("shop.in.a.info.=ZZ.=.-.=2D.\xc3\xa9", `{"n":10}`, 1)
	say("shop.in.a.info."+strings.Repeat("x.", 40)+"y", `{"n":11}`, 1)
	say("shop.in.a.info.-", "x", 0, stream.HdrContentType, "application/vnd.unknown")
	say("shop.in.a.info.-", "x", 0, stream.HdrEncoding, "rot13")
	say("shop.in.a.info.-", "not s2", 0, stream.HdrEncoding, "s2")
	say("shop.in.a.info.-", string(s2.Encode(nil, []byte(`{"n":12}`+"\nbad\n"))), 1, stream.HdrEncoding, "s2")
	say("shop.in.a.info.-", string(s2.Encode(nil, make([]byte, 20<<20))), 0, stream.HdrEncoding, "s2") // 20 MB of zeros in a few kB
	say("shop.in.a.info.-", `{"n":13}`, 0, stream.HdrCount, "7")
	c.settled("SHOP_IN")

	kept := 0
	for _, name := range []string{"payments", "pager", "rest"} {
		for _, p := range c.everything("SHOP_TO_" + name) {
			for line := range stream.Lines(p.Data) {
				if !json.Valid(line) {
					t.Errorf("%s holds %q", name, line)
				}
				kept++
			}
		}
	}
	m := r.balance()
	if kept < good || m["dlog_router_entries_in_flight"] != 0 || m["dlog_router_entries_delivered_total"] != float64(kept) {
		t.Errorf("kept %d of %d good lines: %v", kept, good, m)
	}
	reasons := map[string]int{}
	for _, p := range rawMessages(c, "SHOP_DEAD") {
		reason, why, _ := strings.Cut(p.header.Get(stream.HdrReason), ": ")
		if why == "" || p.header.Get(stream.HdrSubject) == "" || p.header.Get(stream.HdrSeq) == "" {
			t.Errorf("dead letter without reason, subject or sequence: %v", p.header)
		}
		if !strings.HasPrefix(p.subject, "shop.dead."+reason+".") {
			t.Errorf("dead letter on %s has the reason %s", p.subject, reason)
		}
		reasons[reason]++
	}
	for reason, atLeast := range map[string]int{"json": 4, "type": 1, "encoding": 2, "size": 2} {
		if reasons[reason] < atLeast {
			t.Errorf("%d dead letters for %s, want %d or more: %v", reasons[reason], reason, atLeast, reasons)
		}
	}
	r.get("/readyz", http.StatusOK)
}

// TestBadInputMovedWhole: where the subject alone decides nobody looks inside, so everything that can be decoded moves on.
func TestBadInputMovedWhole(t *testing.T) {
	r := run(t, inDir(t))
	c := dial(t, r.addrs.NATS)
	said := []string{"{\"n\":1}\nnot json", "\xff\x00", "plain text from nats pub", `{"n":2`}
	for _, s := range said {
		c.say("dlog.in.svc.info.-", s)
	}
	c.say("dlog.in.svc.info.-", "x", stream.HdrEncoding, "rot13")
	c.settled("DLOG_IN")
	all := c.everything("DLOG_TO_all")
	if len(all) != len(said) {
		t.Fatalf("%d messages of %d", len(all), len(said))
	}
	for i, p := range all {
		if string(p.Data) != said[i] {
			t.Errorf("%q became %q", said[i], p.Data)
		}
	}
	if m := r.balance(); m["dlog_router_entries_received_total"] != 6 || m[`dlog_router_entries_dead_total{reason="encoding"}`] != 1 {
		t.Error(m)
	}
}

// rawMessages reads a stream message by message.
func rawMessages(c *client, name string) (all []got) {
	c.t.Helper()
	s, err := c.js.Stream(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(c.t.Context(), seq)
		if err != nil {
			c.t.Fatal(err)
		}
		all = append(all, got{m.Subject, string(m.Data), m.Header})
	}
	return all
}

// TestStreamDeleted: a stream that somebody deletes under the router is made anew, the others do not wait for it, and it
// gets what is said from then on.
// TestAsLargeAsTheServerTakes: a message that fills the server's limit leaves no room for the router's headers. Its entries arrive in parts.
func TestAsLargeAsTheServerTakes(t *testing.T) {
	r := run(t, inDir(t))
	c := dial(t, r.addrs.NATS)
	line := `{"n":1,"pad":"` + strings.Repeat("x", 112) + `"}` + "\n"
	n := int(c.nc.MaxPayload()) / len(line)
	fill := strings.Repeat(line, n) + strings.Repeat("\n", int(c.nc.MaxPayload())%len(line))
	c.say("dlog.in.a.info.-", fill)
	c.settled("DLOG_IN")
	if got := c.first("DLOG_TO_all", n); len(got) != n {
		t.Errorf("%d of %d entries", len(got), n)
	}
	if m := r.balance(); m["dlog_router_entries_delivered_total"] != float64(n) {
		t.Errorf("delivered %v of %d: %v", m["dlog_router_entries_delivered_total"], n, m)
	}
}

func TestStreamDeleted(t *testing.T) {
	r := run(t, load(t, teams))
	c := dial(t, r.addrs.NATS)
	c.say("shop.in.payments.error.-", `{"n":1}`)
	c.settled("SHOP_IN")
	if err := c.js.DeleteStream(t.Context(), "SHOP_TO_pager"); err != nil {
		t.Fatal(err)
	}
	for n := 2; n <= 50; n++ {
		c.say("shop.in.payments.error.-", fmt.Sprintf(`{"n":%d}`, n))
	}
	if last := c.first("SHOP_TO_payments", 50)[49]; number(t, last.line) != 50 {
		t.Fatalf("got %v", last)
	}
	r.balance()
	c.settled("SHOP_IN")
	var have []int
	for _, p := range c.everything("SHOP_TO_pager") {
		have = append(have, number(t, string(p.Data)))
	}
	slices.Sort(have)
	if len(have) != 49 || have[0] != 2 || have[48] != 50 {
		t.Fatalf("the new stream holds %v", have)
	}
	r.balance()
}

// TestSetAside: a stream that refuses for long does not stop the others, however much they have to do, nor the acks in IN, and gets
// what it is owed in the end: from whichever router is there then.
func TestSetAside(t *testing.T) {
	srv, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	cfg := load(t, teams+fmt.Sprintf("[server]\nhttp = \"127.0.0.1:0\"\n[nats]\nurls = [%q]\n", srv.URL()))
	r := runWith(t, cfg, router.Options{AsideAfter: 300 * time.Millisecond})
	c := dial(t, r.addrs.NATS)
	pager, err := c.js.Stream(t.Context(), "SHOP_TO_pager")
	if err != nil {
		t.Fatal(err)
	}
	sealed := pager.CachedInfo().Config
	sealed.Sealed = true
	if _, err := c.js.UpdateStream(t.Context(), sealed); err != nil {
		t.Fatal(err)
	}
	const n = 6000 // more than a router may have in hand
	for i := 1; i <= n; i++ {
		if _, err := c.js.PublishAsync("shop.in.payments.error.-", fmt.Appendf(nil, `{"n":%d}`, i), jetstream.WithStallWait(10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	for i, g := range c.first("SHOP_TO_payments", n) {
		if number(t, g.line) != i+1 {
			t.Fatalf("%d is %s", i+1, g.line)
		}
	}
	if body := r.get("/readyz", http.StatusServiceUnavailable); !strings.Contains(body, "SHOP_TO_pager takes nothing") {
		t.Errorf("/readyz says %q", body)
	}
	c.wait("all but one that asks again are put aside and acked", func() bool {
		cons, err := c.js.Consumer(t.Context(), "SHOP_IN", "router")
		return err == nil && cons.CachedInfo().NumPending == 0 && cons.CachedInfo().NumAckPending <= 1
	})
	if m := r.balance(); m[`dlog_router_stream_refusing{stream="pager"}`] != 1 || m[`dlog_router_copies_owed_total{stream="pager"}`] < n-1 {
		t.Error(m)
	}
	owed := c.totals("shop").By[ledger.Name{Kind: ledger.Owed, Name: "pager"}]
	if owed < n-1 || owed > n {
		t.Errorf("the ledger says that %d entries are owed", owed)
	}
	r.stop()
	if err := c.js.DeleteStream(t.Context(), "SHOP_TO_pager"); err != nil {
		t.Fatal(err)
	}
	second := run(t, cfg)
	c.settled("SHOP_IN")
	seen := map[int]bool{}
	c.follow("SHOP_TO_pager", func(g got) bool {
		seen[number(t, g.line)] = true
		if g.header.Get(stream.HdrAgain) != "1" || g.subject != "shop.to.pager.payments.error.-" {
			t.Fatalf("%s on %s is not marked", g.line, g.subject)
		}
		return len(seen) < n
	})
	c.wait("nothing is owed any more", func() bool {
		s, err := c.js.Stream(t.Context(), "SHOP_OWED")
		return err == nil && s.CachedInfo().State.Msgs == 0
	})
	sums := c.totals("shop")
	if paid, stored := sums.By[ledger.Name{Kind: ledger.Paid, Name: "pager"}], sums.By[ledger.Name{Kind: ledger.Stored, Name: "pager"}]; paid != owed || paid+stored != n || sums.Entries != n {
		t.Errorf("owed %d, paid %d, stored %d of %d entries: %+v", owed, paid, stored, n, sums)
	}
	second.get("/readyz", http.StatusOK)
}

// wait asks until it is so.
func (c *client) wait(what string, f func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			c.t.Fatalf("never happened: %s", what)
		case <-t.C:
		}
	}
}

// TestOrder: entries of one subject keep their order in each stream.
func TestOrder(t *testing.T) {
	rnd := seed(t)
	rules := randomRules(rnd, 12)
	r := run(t, load(t, toml(rules)))
	c := dial(t, r.addrs.NATS)
	p := newProducer(t, c, rnd, rules)
	for p.n < 20_000 {
		p.pack()
	}
	p.acked.Wait()
	c.settled("DLOG_IN")
	p.verify(t, c, false)
	for i := range p.expect {
		last := map[string]int{}
		for _, pk := range c.everything("DLOG_TO_" + streamName(i)) {
			for line := range stream.Lines(pk.Data) {
				n := number(t, string(line))
				if n <= last[pk.Subject] {
					t.Fatalf("%s: %d after %d on %s", streamName(i), n, last[pk.Subject], pk.Subject)
				}
				last[pk.Subject] = n
			}
			if pk.Again {
				t.Fatal("nothing was sent again")
			}
		}
	}
	r.balance()
}

// TestTakesOverExistingStreams: what an older configuration left is used, and nothing in it removed.
func TestTakesOverExistingStreams(t *testing.T) {
	cfg := inDir(t)
	first := run(t, cfg)
	c := dial(t, first.addrs.NATS)
	c.say("dlog.in.svc.info.-", `{"n":1}`)
	c.settled("DLOG_IN")
	c.nc.Close()
	first.stop()

	cfg.In.MaxBytes = 10 // less than it holds
	second := run(t, cfg)
	c = dial(t, second.addrs.NATS)
	s, err := c.js.Stream(t.Context(), "DLOG_IN")
	if err != nil || s.CachedInfo().State.Msgs != 1 {
		t.Fatalf("%v %v", s, err)
	}
	c.say("dlog.in.svc.info.-", `{"n":2}`)
	if all := c.first("DLOG_TO_all", 2); number(t, all[1].line) != 2 {
		t.Fatal(all)
	}
}

// TestOtherServer: the router works on a server that exists already.
func TestOtherServer(t *testing.T) {
	srv, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	cfg := inDir(t)
	cfg.NATS.URLs = []string{srv.URL()}
	r := run(t, cfg)
	if r.addrs.NATS != srv.URL() {
		t.Errorf("addresses %v", r.addrs)
	}
	c := dial(t, srv.URL())
	c.say("dlog.in.svc.info.-", `{"n":1}`)
	c.first("DLOG_TO_all", 1)
}

// TestSinks: the router makes the durables of sinks that may not.
func TestSinks(t *testing.T) {
	cfg := load(t, strings.Replace(teams, `name = "payments"`, "name = \"payments\"\nsinks = [\"ledger\", \"screen\"]", 1))
	r := runWith(t, cfg, router.Options{Consumer: func(sink string) jetstream.ConsumerConfig {
		return jetstream.ConsumerConfig{Durable: sink, AckPolicy: jetstream.AckExplicitPolicy}
	}})
	c := dial(t, r.addrs.NATS)
	for _, sink := range []string{"ledger", "screen"} {
		if _, err := c.js.Consumer(t.Context(), "SHOP_TO_payments", sink); err != nil {
			t.Errorf("%s: %v", sink, err)
		}
	}
}

func TestDoesNotStart(t *testing.T) {
	f := func(cfg router.Config, want string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		err := router.Run(ctx, cfg, router.Options{Ready: func(router.Addrs) { cancel() }})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want one line with %q", err, want)
		}
	}
	with := func(change func(*router.Config)) router.Config {
		cfg := inDir(t)
		change(&cfg)
		return cfg
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	at := taken.Addr().String()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := run(t, inDir(t))
	c := dial(t, other.addrs.NATS)
	if _, err := c.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "MINE_IN", Subjects: []string{"else.>"}}); err != nil {
		t.Fatal(err)
	}

	f(with(func(c *router.Config) { c.Server.Listen = at }), "the port is taken")
	f(with(func(c *router.Config) { c.Server.HTTP = at }), "the port is taken")
	f(with(func(c *router.Config) { c.Server.HTTP = "0.0.0.0:0" }), "only loopback")
	f(with(func(c *router.Config) { c.Server.Listen = "0.0.0.0:0" }), "needs users and TLS")
	f(with(func(c *router.Config) { c.Server.Data = filepath.Join(file, "x") }), "data directory")
	f(with(func(c *router.Config) { c.NATS.URLs = []string{"nats://user:secret@" + at} }), "connect to NATS at nats://user:xxxxx@"+at)
	f(with(func(c *router.Config) { c.NATS.URLs = []string{"nats://127.0.0.1:1"} }), "connect to NATS at nats://127.0.0.1:1")
	f(with(func(c *router.Config) { c.NATS.URLs = []string{other.addrs.NATS}; c.Namespace = "mine" }), "subjects is else.>, wanted mine.in.>")
	f(with(func(c *router.Config) { c.Namespace = "Shop.x" }), "namespace")
	f(with(func(c *router.Config) { c.NATS.Creds = "x" }), "without urls")
}

func TestDirectoryInUse(t *testing.T) {
	cfg := inDir(t)
	run(t, cfg)
	err := router.Run(t.Context(), cfg, router.Options{})
	if err == nil || !strings.Contains(err.Error(), "in use by another server") {
		t.Fatalf("got %v", err)
	}
}

// TestPromtool: Prometheus's own checker has nothing to say about the metrics.
func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("NOT CHECKED: promtool is not installed (Debian: apt-get install --no-install-recommends prometheus)")
	}
	r := run(t, load(t, teams))
	c := dial(t, r.addrs.NATS)
	c.say("shop.in.payments.error.a", `{"n":1}`+"\nnot json")
	c.settled("SHOP_IN")
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(r.get("/metrics", http.StatusOK))
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}
