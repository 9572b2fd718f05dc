// Package rules drives rules that change entries through a whole router: what its streams, dead letters and counters hold.
package rules

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

const changing = `
[[stream]]
name = "rest"
[[stream]]
name = "audit"
[[stream]]
name = "pager"
[default]
to = ["rest"]

[[rule]]
name  = "audit"
match = { audit = true }
to    = ["audit"]
[[rule]]
name   = "no-secrets"
match  = { card = "*" }
redact = { card = "last4" }
[[rule]]
name  = "unpack"
match = { message = "~^[{]" }
parse = { message = "json" }
[[rule]]
name  = "broken"
match = { code = ">=500" }
set   = { level = "error" }
to    = ["pager"]
[[rule]]
name   = "few"
match  = { service = "noisy" }
sample = "50%"
`

// run starts a router on the directory and returns its addresses and what stops it.
func run(t *testing.T, dir string) (router.Addrs, func()) {
	t.Helper()
	path := filepath.Join(dir, "router.toml")
	text := changing + fmt.Sprintf("[server]\nlisten = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\ndata = %q\n", filepath.Join(dir, "data"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := router.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan router.Addrs, 1), make(chan error, 1)
	go func() {
		ended <- router.Run(ctx, cfg, router.Options{
			Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel), Ready: func(a router.Addrs) { ready <- a },
		})
	}()
	stopped := false
	stop := func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the router ended with %v", err)
		}
	}
	t.Cleanup(stop)
	select {
	case a := <-ready:
		return a, stop
	case err := <-ended:
		stopped = true
		t.Fatalf("the router did not start: %v", err)
		return router.Addrs{}, stop
	}
}

// world is a connection to the router's server.
type world struct {
	t  *testing.T
	js jetstream.JetStream
}

func connect(t *testing.T, url string) world {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return world{t, js}
}

func (w world) say(subject string, lines ...string) {
	w.t.Helper()
	if _, err := w.js.Publish(w.t.Context(), subject, []byte(strings.Join(lines, "\n")+"\n")); err != nil {
		w.t.Fatal(err)
	}
}

// settled waits until the router has acked all of IN.
func (w world) settled() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := w.js.Consumer(ctx, "DLOG_IN", "router")
		if err == nil {
			if i := c.CachedInfo(); i.NumPending == 0 && i.NumAckPending == 0 {
				return
			}
		}
		select {
		case <-ctx.Done():
			w.t.Fatalf("not settled: %v", err)
		case <-tick.C:
		}
	}
}

// lines reads what a stream holds: subject and line.
func (w world) lines(name string) (all []string) {
	w.t.Helper()
	err := stream.Read(w.t.Context(), w.js, stream.ReadConfig{Stream: name, StopAtEnd: true}, func(p stream.Pack) error {
		for line := range stream.Lines(p.Data) {
			all = append(all, p.Subject+" "+string(line))
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func (w world) holds(name string, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got := w.lines(name); !slices.Equal(got, want) {
		w.t.Errorf("%s\ngot\n  %s\nwant\n  %s", name, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const trace = `,"dlog":{"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c%02x"}}`

func TestChangedEntries(t *testing.T) {
	dir := t.TempDir()
	addrs, stop := run(t, dir)
	w := connect(t, addrs.NATS)
	w.say("dlog.in.pay.info.-",
		`{"n":1,"card":"4111111111111111"}`,
		`{"n":2,"card":"4111111111111111","audit":true}`,
		`{"n":3,"message":"{\"code\":503}"}`,
		`{"n":4,"message":"{bad"}`,
		`{"n":5,"message":"{bad","audit":true}`,
		`{"n":6,"card":[]}`,
		`{"n":7,"code":500}`,
		`{"n":8}`)
	w.say("dlog.in.pay.task.order", `{"level":"debug","message":"order","code":500,"dlog":{"event":"start","path":"order"}}`)
	var noisy []string
	for i := range 64 {
		noisy = append(noisy, fmt.Sprintf(`{"i":%d`+trace, i, i), fmt.Sprintf(`{"j":%d`+trace, i, i))
	}
	w.say("dlog.in.noisy.info.-", noisy...)
	w.settled()

	w.holds("DLOG_TO_audit", `dlog.to.audit.pay.info.- {"n":2,"card":"4111111111111111","audit":true}`, `dlog.to.audit.pay.info.- {"n":5,"message":"{bad","audit":true}`)
	w.holds("DLOG_TO_pager",
		`dlog.to.pager.pay.error.- {"n":3,"message":"{\"code\":503}","code":503,"level":"error"}`,
		`dlog.to.pager.pay.error.- {"n":7,"code":500,"level":"error"}`,
		`dlog.to.pager.pay.task.order {"level":"error","message":"order","code":500,"dlog":{"event":"start","path":"order"}}`)
	rest := slices.DeleteFunc(w.lines("DLOG_TO_rest"), func(s string) bool { return strings.Contains(s, ".noisy.") })
	want := []string{`dlog.to.rest.pay.info.- {"n":1,"card":"…1111"}`, `dlog.to.rest.pay.info.- {"n":8}`}
	if !slices.Equal(rest, want) {
		t.Errorf("rest holds %v, want %v", rest, want)
	}
	w.dead()
	kept := w.sampled()
	w.balances(addrs.HTTP, 9+128, 128-kept)

	// The same messages once more, as after a crash before their acks: what they become has the same ids, so nothing is stored twice.
	before := len(w.lines("DLOG_TO_audit")) + len(w.lines("DLOG_TO_pager")) + len(w.lines("DLOG_TO_rest")) + len(w.lines("DLOG_DEAD"))
	stop()
	w = forget(t, dir)
	if after := len(w.lines("DLOG_TO_audit")) + len(w.lines("DLOG_TO_pager")) + len(w.lines("DLOG_TO_rest")) + len(w.lines("DLOG_DEAD")); after != before {
		t.Errorf("%d entries were stored, after they were routed again %d", before, after)
	}
}

// forget starts the router so that it routes everything again.
func forget(t *testing.T, dir string) world {
	t.Helper()
	addrs, stop := run(t, dir)
	if err := connect(t, addrs.NATS).js.DeleteConsumer(t.Context(), "DLOG_IN", "router"); err != nil {
		t.Fatal(err)
	}
	stop()
	addrs, _ = run(t, dir)
	w := connect(t, addrs.NATS)
	w.settled()
	return w
}

// dead checks the dead letters: as they were said, one for each rule that failed, with its name.
func (w world) dead() {
	w.t.Helper()
	w.holds("DLOG_DEAD", `dlog.dead.rule.pay {"n":4,"message":"{bad"}`, `dlog.dead.rule.pay {"n":5,"message":"{bad","audit":true}`, `dlog.dead.rule.pay {"n":6,"card":[]}`)
	s, err := w.js.Stream(w.t.Context(), "DLOG_DEAD")
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		got = append(got, m.Header.Get(stream.HdrRule)+"|"+m.Header.Get(stream.HdrReason)+"|"+m.Header.Get(stream.HdrSubject)+"|"+m.Header.Get(stream.HdrSeq))
	}
	slices.Sort(got)
	want := []string{
		"no-secrets|rule: redact card: an object or array can be masked or removed only|dlog.in.pay.info.-|1",
		"unpack|rule: parse message: is no JSON object|dlog.in.pay.info.-|1",
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("dead letters\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// sampled checks that traces are kept whole, and returns how many entries were.
func (w world) sampled() int {
	w.t.Helper()
	have := map[string]int{}
	kept := 0
	for _, s := range w.lines("DLOG_TO_rest") {
		if _, id, ok := strings.Cut(s, `"trace":`); ok && strings.Contains(s, ".noisy.") {
			have[id]++
			kept++
		}
	}
	for id, n := range have {
		if n != 2 {
			w.t.Errorf("%d of the 2 entries of trace %s were kept", n, id)
		}
	}
	if len(have) < 16 || len(have) > 48 {
		w.t.Errorf("%d of 64 traces were kept", len(have))
	}
	return kept
}

// balances checks the router's own count: each entry in one state.
func (w world) balances(url string, received, dropped int) {
	w.t.Helper()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range []string{
		fmt.Sprintf("dlog_router_entries_received_total %d", received),
		fmt.Sprintf("dlog_router_entries_delivered_total %d", received-dropped-2),
		fmt.Sprintf(`dlog_router_entries_dropped_total{rule="few"} %d`, dropped),
		`dlog_router_entries_dead_total{reason="rule"} 2`, // the third has a copy: it is delivered
		"dlog_router_entries_in_flight 0",
	} {
		if !strings.Contains(string(body), line+"\n") {
			w.t.Errorf("/metrics does not say %s", line)
		}
	}
}
