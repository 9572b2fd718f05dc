//go:build unix

package router_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/test/gen"
)

// benchEntries is how many entries of the shop each row of BenchmarkRouter routes.
const benchEntries = 200_000

// BenchmarkRouter is what docs/performance.md says of the router, each row beside its reference: CPU seconds of router and server
// together for a million entries of IN (cpu-s/M). The entries are those of test/gen: 8 processes, about 50 subjects each, mean 340 bytes; but the
// rows "twenty" route those of facts about peers (BenchmarkRoute).
func BenchmarkRouter(b *testing.B) {
	b.Run("packs/loop", func(b *testing.B) { benchShop(b, loopWhole) })
	b.Run("packs/rules=0", func(b *testing.B) { benchShop(b, withRules(shopRules(0, 0, 0))) })
	b.Run("packs/rules=10", func(b *testing.B) { benchShop(b, withRules(shopRules(1, 6, 3))) })
	b.Run("packs/rules=100", func(b *testing.B) { benchShop(b, withRules(shopRules(25, 40, 35))) })
	b.Run("packs/rules=1000", func(b *testing.B) { benchShop(b, withRules(shopRules(1, 499, 500))) })
	b.Run("twenty/loop", func(b *testing.B) { benchTwenty(b, 1, loopTwenty) })
	b.Run("twenty/pack=1", func(b *testing.B) { benchTwenty(b, 1, withRules(twentyRules())) })
	b.Run("twenty/pack=16", func(b *testing.B) { benchTwenty(b, 16, withRules(twentyRules())) })
}

var shopServices = []string{"gateway", "checkout", "stock", "payments", "mailer", "search", "accounts", "shipping"}

// shopRules are rules as teams write them: open ones that name neither a service nor a value, ones about a service, and ones that look
// for one customer, order or address. Only the first few of the last two kinds match, however many there are.
func shopRules(open, service, equal int) string {
	var s strings.Builder
	for i := range 20 {
		fmt.Fprintf(&s, "[[stream]]\nname = \"s%d\"\n", i)
	}
	s.WriteString("[default]\nto = [\"s0\"]\n")
	if open+service+equal == 0 {
		return s.String()
	}
	n := 0
	add := func(match string, to int) {
		n++
		fmt.Fprintf(&s, "[[rule]]\nname = \"r%d\"\nmatch = { %s }\nto = [\"s%d\"]\n", n, match, to%20)
		if strings.Contains(match, "level") {
			s.WriteString("task_entries = \"filter\"\n") // who wants warnings does not want the frames of all tasks
		}
	}
	for i := range service {
		name := shopServices[i%8]
		if i >= 40 {
			name = fmt.Sprintf("other%d", i)
		}
		switch i / 8 {
		case 0:
			add(fmt.Sprintf("service = %q", name), 1+i) // the team's own stream
		case 1:
			add(fmt.Sprintf("service = %q, took_ms = \">10\"", name), 1+i%8) // to the same stream: a match, no copy
		case 2:
			add(fmt.Sprintf("service = %q, id = \"*\", level = \"<=info\"", name), 1+i%8) // likewise
		case 3:
			least := ">=warn"
			if i%2 == 0 {
				least = ">=info" // some keep more
			}
			add(fmt.Sprintf("service = %q, level = %q", name, least), 10+i)
		default:
			add(fmt.Sprintf("service = %q, level = \">=warn\", took_ms = \">50\"", name), 10+i)
		}
	}
	for i := range equal {
		switch i % 3 {
		case 0:
			add(fmt.Sprintf("user = %d", 100_000+i), 19)
		case 1:
			add(fmt.Sprintf("order = \"o-%08d\"", i), 19)
		case 2:
			add(fmt.Sprintf("sku = \"AB-%05d\"", i), 18)
		}
	}
	words := []string{"deadlock", "handshake", "quota", "checksum", "reset by peer", "exceeded", "declined", "no such", "holds \\\\d{5} waiting", "attempt 9\\\\d+$"}
	for i := range open {
		switch {
		case i < 1:
			add("took_ms = \">100\"", 17)
		case i < 11:
			add(fmt.Sprintf("level = \">=warn\", message = \"~%s\"", words[i-1]), 16)
		case i < 23:
			add(fmt.Sprintf("level = \">=error\", took_ms = \">%d\"", 10*i), 15)
		default:
			add(fmt.Sprintf("query = \"*\", took_ms = \">%d\"", 100*i), 14)
		}
	}
	return s.String()
}

// job routes all that IN holds and returns when it is done.
type job func(b *testing.B, srv *natsd.Server, js jetstream.JetStream, total int)

func withRules(rules string) job {
	return func(b *testing.B, srv *natsd.Server, js jetstream.JetStream, _ int) {
		cfg := loadRules(b, rules)
		cfg.NATS.URLs, cfg.Server.HTTP = []string{srv.URL()}, router.HTTPOff
		routeAll(b, js, cfg)
	}
}

func benchShop(b *testing.B, work job) {
	benchJob(b, benchEntries, work, func(js jetstream.JetStream) int { return fillShop(b, js) })
}

func benchTwenty(b *testing.B, pack int, work job) {
	benchJob(b, 200_000, work, func(js jetstream.JetStream) int {
		fill(b, js, pack, 200_000)
		return 200_000 / pack
	})
}

func benchJob(b *testing.B, entries int, work job, fill func(jetstream.JetStream) int) {
	srv, err := natsd.Start(b.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: b.TempDir()})
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
	total := fill(js)
	var cpu time.Duration
	b.ResetTimer()
	for range b.N {
		b.StopTimer()
		forget(b, js)
		b.StartTimer()
		before := cpuTime(b)
		work(b, srv, js, total)
		cpu += cpuTime(b) - before
	}
	b.StopTimer()
	b.ReportMetric(cpu.Seconds()/(float64(b.N*entries)/1e6), "cpu-s/M")
	b.ReportMetric(float64(b.N*entries)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(entries)/float64(total), "entries/message")
}

// window is over how many entries of the shop packs gather: what all its processes say in 10 ms at full speed, about.
const window = 4000

// fillShop says the shop's entries in packs and returns their number.
func fillShop(b *testing.B, js jetstream.JetStream) (packs int) {
	g := gen.New(gen.Config{Entries: benchEntries, Seed: 1})
	data := map[string][]byte{}
	var order []string
	flush := func() {
		for _, s := range order {
			if _, err := js.PublishMsgAsync(&nats.Msg{Subject: s, Data: data[s]}, jetstream.WithStallWait(20*time.Second)); err != nil {
				b.Fatal(err)
			}
			packs++
		}
		order = order[:0]
		clear(data)
	}
	for n := 1; ; n++ {
		e, ok := g.Next()
		if !ok {
			break
		}
		if data[e.Subject] == nil {
			order = append(order, e.Subject)
		}
		data[e.Subject] = append(append(data[e.Subject], e.Line...), '\n')
		if n%window == 0 {
			flush()
		}
	}
	flush()
	<-js.PublishAsyncComplete()
	return packs
}

// loopWhole is the reference without rules: consume, publish the same message under another subject, ack when that is stored.
func loopWhole(b *testing.B, _ *natsd.Server, js jetstream.JetStream, total int) {
	loop(b, js, total, func(m jetstream.Msg) string { return "dlog.to.all" + strings.TrimPrefix(m.Subject(), "dlog.in") })
}

// loopTwenty is the reference with one entry a message: the rules of twentyRules as one would write them by hand.
func loopTwenty(b *testing.B, _ *natsd.Server, js jetstream.JetStream, total int) {
	keys := entry.CompileKeys([]string{"level", "status", "duration_ms", "dlog.svc"})
	slots := keys.NewSlots()
	teams := []string{"shop", "money", "web", "core"}
	loop(b, js, total, func(m jetstream.Msg) string {
		if keys.Scan(bytes.TrimSpace(m.Data()), slots) != nil {
			return ""
		}
		level := string(slots[0].Raw)
		status, _ := slots[1].Number()
		took, _ := slots[2].Number()
		to := ""
		for i := range 10 {
			if string(slots[3].Raw) != serviceTexts[i] {
				continue
			}
			if level == `"warn"` || level == `"error"` {
				to = teams[i%4]
			}
			if status >= 500 && took > 1000 && to == "" {
				to = teams[i%4] + "-slow"
			}
		}
		if to == "" {
			return ""
		}
		return "dlog.to." + to + strings.TrimPrefix(m.Subject(), "dlog.in")
	})
}

var serviceTexts = func() (all [10]string) {
	for i := range all {
		all[i] = fmt.Sprintf(`"service%d"`, i)
	}
	return all
}()

// loop consumes all messages of IN and publishes each where to says, "" being nowhere.
func loop(b *testing.B, js jetstream.JetStream, total int, to func(jetstream.Msg) string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: "DLOG_TO_all", Subjects: []string{"dlog.to.>"}, Compression: jetstream.S2Compression, Duplicates: stream.DuplicateWindow,
	}); err != nil {
		b.Fatal(err)
	}
	c, err := js.CreateConsumer(ctx, "DLOG_IN", jetstream.ConsumerConfig{Durable: "router", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 8192})
	if err != nil {
		b.Fatal(err)
	}
	var done atomic.Int64
	var wg sync.WaitGroup
	finished := make(chan struct{})
	type sent struct {
		future jetstream.PubAckFuture
		msg    jetstream.Msg
	}
	acks := make(chan sent, 4096)
	finish := func(m jetstream.Msg) {
		if err := m.Ack(); err != nil {
			b.Error(err)
		}
		if done.Add(1) == int64(total) {
			close(finished)
		}
	}
	wg.Go(func() {
		for s := range acks {
			select {
			case <-s.future.Ok():
			case err := <-s.future.Err():
				b.Error(err)
			}
			finish(s.msg)
		}
	})
	cc, err := c.Consume(func(m jetstream.Msg) {
		subj := to(m)
		if subj == "" {
			finish(m)
			return
		}
		f, err := js.PublishMsgAsync(&nats.Msg{Subject: subj, Data: m.Data()}, jetstream.WithStallWait(20*time.Second))
		if err != nil {
			b.Error(err)
			return
		}
		acks <- sent{f, m}
	}, jetstream.PullMaxMessages(1024))
	if err != nil {
		b.Fatal(err)
	}
	select {
	case <-finished:
	case <-ctx.Done():
		b.Fatal("the loop does not end")
	}
	cc.Stop()
	<-cc.Closed()
	close(acks)
	wg.Wait()
}

// TestMix counts what the hundred rules do with the shop's entries, so that the figures say what they are about.
func TestMix(t *testing.T) {
	cfg := loadRules(t, shopRules(25, 40, 35))
	set, err := rule.Compile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	g := gen.New(gen.Config{Entries: 20_000, Seed: 1})
	plans := map[string]*rule.Plan{}
	var d rule.Decision
	var n, bytes, matched, copies int
	for e, ok := g.Next(); ok; e, ok = g.Next() {
		p := plans[e.Subject]
		if p == nil {
			s, err := subject.Parse(e.Subject)
			if err != nil {
				t.Fatal(err)
			}
			p = set.Plan(s)
			plans[e.Subject] = p
		}
		if err := p.Eval(e.Line, &d); err != nil {
			t.Fatal(err)
		}
		n, bytes, matched, copies = n+1, bytes+len(e.Line), matched+len(d.Rules), copies+len(d.Streams)
	}
	per := func(x int) float64 { return float64(x) / float64(n) }
	t.Logf("%d rules, %d subjects: an entry of %.0f bytes matches %.2f rules and makes %.2f copies", len(set.Rules), len(plans), per(bytes), per(matched), per(copies))
	if per(matched) < 2 || per(copies) < 1.1 {
		t.Error("the rules match less than they are meant to")
	}
}
