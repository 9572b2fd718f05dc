package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// totals reads the ledger's sums.
func (c *client) totals(ns string) ledger.Totals {
	c.t.Helper()
	t, err := ledger.Latest(c.t.Context(), c.js, ns)
	if err != nil {
		c.t.Fatal(err)
	}
	return t
}

// TestLedger: what became of each entry is in the ledger, by stream, rule and reason, and which entries of tasks are absent why.
func TestLedger(t *testing.T) {
	r := run(t, load(t, teams))
	c := dial(t, r.addrs.NATS)
	trace, other := task.NewTrace(), task.NewTrace()
	line := func(trace task.Trace, pos, message string) string {
		return fmt.Sprintf(`{"message":%q,"n":1,"dlog":{"svc":"gateway","trace":"%v","path":"a","pos":%q,"proc":"0011223344556677","seq":1}}`, message, trace, pos)
	}
	c.say("shop.in.gateway.info.a", strings.Join([]string{
		line(trace, "2", "health"), line(trace, "3", "health"), line(other, "2.1~abcde.2", "health"), line(trace, "4", "GET /"), line(trace, "5", "health"),
	}, "\n"))
	c.say("shop.in.gateway.info.-", `{"message":"health"}`)
	c.say("shop.in.payments.error.a", line(trace, "7", "x")+"\nnot json")
	c.say("shop.in.payments.info.a", line(trace, "8", "x"))
	c.settled("SHOP_IN")

	got := c.totals("shop")
	want := map[ledger.Name]uint64{
		{Kind: ledger.Dropped, Name: "noise"}: 5, {Kind: ledger.Stored, Name: "rest"}: 1,
		{Kind: ledger.Stored, Name: "payments"}: 3, {Kind: ledger.Stored, Name: "pager"}: 2,
	}
	for name, n := range want {
		if got.By[name] != n {
			t.Errorf("%c %s: %d, want %d", name.Kind, name.Name, got.By[name], n)
		}
	}
	if got.Messages != 4 || got.Entries != 9 || got.Delivered != 4 || got.ByDefault != 1 || got.Expired != 0 {
		t.Errorf("%+v", got)
	}
	if sum := got.Delivered + got.Of(ledger.Dropped) + got.Of(ledger.Dead); sum != got.Entries {
		t.Errorf("the states add up to %d of %d", sum, got.Entries)
	}

	j := ledger.NewJudge(t.Context(), c.js, "shop", ledger.Window{Since: time.Now().Add(-time.Hour)})
	f := func(trace task.Trace, at task.Position, first, last uint64, want string) {
		t.Helper()
		var have []string
		for _, v := range j.Judge(tree.Absent{Trace: trace, Task: at, First: first, Last: last}) {
			have = append(have, fmt.Sprintf("%d-%d %s %s", v.First, v.Last, v.Reason, v.Rule))
		}
		if got := strings.Join(have, ", "); got != want {
			t.Errorf("%v %s %d-%d: %q, want %q", trace, at, first, last, got, want)
		}
	}
	f(trace, "", 1, 3, "2-3 withheld noise")
	f(trace, "", 2, 9, "2-3 withheld noise, 5-5 withheld noise")
	f(trace, "", 3, 3, "3-3 withheld noise")
	f(trace, "", 6, 6, "")
	f(other, "2.1~abcde", 2, 2, "2-2 withheld noise")
	f(other, "2.1", 2, 2, "")
	if j.Err() != nil {
		t.Error(j.Err())
	}
}

// TestLedgerSurvives: sums go on over restarts, and over a ledger that somebody deletes.
func TestLedgerSurvives(t *testing.T) {
	cfg := load(t, teams)
	for round := range 2 {
		r := run(t, cfg)
		c := dial(t, r.addrs.NATS)
		for n := range 300 {
			c.say("shop.in.payments.info.-", fmt.Sprintf(`{"n":%d}`, n))
		}
		c.settled("SHOP_IN")
		if got := c.totals("shop"); got.Messages != uint64(300*(round+1)) || got.Entries != got.Messages || got.Expired != 0 {
			t.Errorf("round %d: %+v", round, got)
		}
		if round == 1 {
			if err := c.js.DeleteStream(t.Context(), "SHOP_LEDGER"); err != nil {
				t.Fatal(err)
			}
			c.say("shop.in.payments.info.-", `{"n":1}`)
			c.settled("SHOP_IN")
			if got := c.totals("shop"); got.Messages != 601 || got.Expired != 0 {
				t.Errorf("after the ledger was made anew: %+v", got)
			}
		}
		r.balance()
		c.nc.Close()
		r.stop()
	}
}

// TestExpiredUnrouted: what IN's limits remove before a router has it is counted, and nothing else is.
func TestExpiredUnrouted(t *testing.T) {
	srv, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	cfg := load(t, teams+fmt.Sprintf("[server]\nhttp = \"off\"\n[nats]\nurls = [%q]\n", srv.URL()))
	first := run(t, cfg)
	c := dial(t, srv.URL())
	for range 3 {
		c.say("shop.in.payments.info.-", `{"n":1}`)
	}
	c.settled("SHOP_IN")
	first.stop()
	for range 10 {
		c.say("shop.in.payments.info.-", `{"n":2}`)
	}
	in, err := c.js.Stream(t.Context(), "SHOP_IN")
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Purge(t.Context(), jetstream.WithPurgeSequence(9)); err != nil { // 4 to 8 were never routed
		t.Fatal(err)
	}
	second := run(t, cfg)
	c.settled("SHOP_IN")
	c.wait("found", func() bool { return c.totals("shop").Expired > 0 })
	if got := c.totals("shop"); got.Expired != 5 || got.Messages != 8 {
		t.Errorf("%+v", got)
	}
	c.say("shop.in.payments.info.-", `{"n":3}`)
	c.settled("SHOP_IN")
	second.stop()
	if got := c.totals("shop"); got.Expired != 5 || got.Messages != 9 {
		t.Errorf("%+v", got)
	}
}
