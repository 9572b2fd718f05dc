//go:build unix

package router_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// BenchmarkRoute moves entries that lie in IN through 20 rules into 8 streams: the job of facts about peers, ten services, lines
// of about 300 bytes, two rules for each service, a third of the entries kept. cpu-s/M is the CPU time of router and server
// together for a million entries of IN. By the number of entries in a message of IN.
func BenchmarkRoute(b *testing.B) {
	for _, pack := range []int{1, 4, 16, 128} {
		b.Run(fmt.Sprintf("pack=%d", pack), func(b *testing.B) { benchmarkRoute(b, pack, twentyRules(), 200_000) })
	}
}

// BenchmarkMoveWhole is the same with rules that the subject alone decides.
func BenchmarkMoveWhole(b *testing.B) {
	b.Run("pack=16", func(b *testing.B) {
		benchmarkRoute(b, 16, "[[stream]]\nname = \"all\"\n[default]\nto = [\"all\"]\n", 200_000)
	})
}

func twentyRules() string {
	teams := []string{"shop", "money", "web", "core"}
	var s strings.Builder
	for _, t := range teams {
		fmt.Fprintf(&s, "[[stream]]\nname = %q\n[[stream]]\nname = %q\n", t, t+"-slow")
	}
	s.WriteString("[default]\nto = [\"shop\"]\n")
	for i := range 10 {
		t := teams[i%len(teams)]
		fmt.Fprintf(&s, "[[rule]]\nname = \"level-%d\"\nmatch = { service = \"service%d\", level = \">=warn\" }\nto = [%q]\n", i, i, t)
		fmt.Fprintf(&s, "[[rule]]\nname = \"slow-%d\"\nmatch = { service = \"service%d\", status = \">=500\", duration_ms = \">1000\" }\nto = [%q]\n", i, i, t+"-slow")
	}
	s.WriteString("[[rule]]\nname = \"nothing-else\"\nmatch = { level = \"<=info\" }\ndrop = true\n")
	return s.String()
}

func benchmarkRoute(b *testing.B, pack int, rules string, entries int) {
	data := b.TempDir()
	srv, err := natsd.Start(b.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: data})
	if err != nil {
		b.Fatal(err)
	}
	defer srv.Close()
	nc, err := srv.Connect()
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	if err := stream.Ensure(b.Context(), js, stream.SpecIn("dlog", stream.Keep{})); err != nil {
		b.Fatal(err)
	}
	fill(b, js, pack, entries)
	cfg := loadRules(b, rules)
	cfg.NATS.URLs, cfg.Server.HTTP = []string{srv.URL()}, router.HTTPOff
	b.ResetTimer()
	var cpu time.Duration
	for range b.N {
		b.StopTimer()
		forget(b, js)
		b.StartTimer()
		before := cpuTime(b)
		routeAll(b, js, cfg)
		cpu += cpuTime(b) - before
	}
	b.StopTimer()
	million := float64(b.N*entries) / 1e6
	b.ReportMetric(cpu.Seconds()/million, "cpu-s/M")
	b.ReportMetric(float64(b.N*entries)/b.Elapsed().Seconds(), "entries/s")
}

// forget removes what an earlier round made, so that the next one begins anew.
func forget(b *testing.B, js jetstream.JetStream) {
	b.Helper()
	names := js.StreamNames(b.Context())
	for name := range names.Name() {
		if name == "DLOG_IN" {
			continue
		}
		if err := js.DeleteStream(b.Context(), name); err != nil {
			b.Fatal(err)
		}
	}
	if err := js.DeleteConsumer(b.Context(), "DLOG_IN", "router"); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		b.Fatal(err)
	}
}

func loadRules(b testing.TB, toml string) router.Config {
	b.Helper()
	path := b.TempDir() + "/router.toml"
	writeFile(b, path, toml)
	cfg, err := router.Load(path)
	if err != nil {
		b.Fatal(err)
	}
	return cfg
}

// routeAll runs a router until IN is settled.
func routeAll(b *testing.B, js jetstream.JetStream, cfg router.Config) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ready, result := make(chan struct{}), make(chan error, 1)
	go func() { result <- router.Run(ctx, cfg, router.Options{Ready: func(router.Addrs) { close(ready) }}) }()
	<-ready
	for t := time.NewTicker(5 * time.Millisecond); ; <-t.C {
		c, err := js.Consumer(ctx, "DLOG_IN", "router")
		if err != nil {
			b.Fatal(err)
		}
		if i := c.CachedInfo(); i.NumPending == 0 && i.NumAckPending == 0 {
			t.Stop()
			break
		}
	}
	cancel()
	if err := <-result; err != nil {
		b.Fatal(err)
	}
}

// fill says entries of ten services at four levels.
func fill(b *testing.B, js jetstream.JetStream, pack, entries int) {
	r := rand.New(rand.NewPCG(1, 2))
	share := []string{"debug", "debug", "debug", "info", "info", "info", "warn", "warn", "error"}
	for n := 0; n < entries; n += pack {
		level := share[r.IntN(len(share))]
		service := r.IntN(10)
		var data []byte
		for range pack {
			data = fmt.Appendf(data, `{"level":%q,"status":%d,"duration_ms":%d,"user":"u-%08x","order":%d,"host":"node-%02d","caller":"internal/pay/charge.go:%d","time":"2026-11-22T16:02:11.482193Z","message":"charged card for an order that took a while","dlog":{"svc":"service%d","trace":"0193a1b2c3d4e5f60718293a4b5c6d7e","path":"place-order/charge","pos":"2.4","proc":"9f00aa11bb22cc33","seq":%d}}`+"\n",
				level, 200+100*r.IntN(4), r.IntN(2000), r.Uint32(), r.IntN(1e6), r.IntN(24), r.IntN(400), service, n)
		}
		m := &nats.Msg{Subject: fmt.Sprintf("dlog.in.service%d.%s.place-order.charge", service, level), Data: data}
		if _, err := js.PublishMsgAsync(m, jetstream.WithStallWait(20*time.Second)); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
