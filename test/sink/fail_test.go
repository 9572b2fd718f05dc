package sink_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

// TestPoison: entries that the destination refuses are found, whatever the batch, and become dead letters; all others are stored.
func TestPoison(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	refuse := func(batch sink.Batch) error {
		for _, e := range batch.Entries {
			if bytes.Contains(e.Line, []byte("poison")) {
				return &sink.Refused{Err: errors.New("too bitter")}
			}
		}
		return nil
	}
	want := map[string]int{}
	for i := range 30 {
		lines, ids := s.pack(7)
		n := 7
		if i%5 == 0 {
			bad := fmt.Sprintf(`{"message":"poison %d"}`, i)
			lines, n = append(append([]byte(bad), '\n'), lines...), n+1
			want["dlog.dead.sink.shop "+bad]++
		}
		if i%7 == 0 {
			lines, n = append(lines, fmt.Sprintf("half a line %d\n", i)...), n+1
			want[fmt.Sprintf("dlog.dead.json.shop half a line %d", i)]++
		}
		s.publish(lines, n, false)
		for _, id := range ids {
			s.said[id]++
		}
	}
	b.run(b.config("payments"), hook(refuse))
	eventually(t, "all good entries", func() bool { return count(b.file("payments")) >= 210 })
	s.once(b.file("payments"))
	got := b.dead()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("dead letters\n%v\nwant\n%v", got, want)
	}
}

// TestDestinationFails: nothing is pulled while a destination fails, nothing becomes a dead letter, the other sink is not delayed,
// and both end up with everything.
func TestDestinationFails(t *testing.T) {
	b := newBed(t, "payments", "shop")
	pay, shop := b.source("payments"), b.source("shop")
	var broken atomic.Bool
	broken.Store(true)
	g := b.run(b.config("payments", "shop"), hook(func(batch sink.Batch) error {
		if broken.Load() && len(batch.Entries) > 0 && strings.Contains(batch.Entries[0].Subject, ".payments.") {
			return errors.New("no space left")
		}
		return nil
	}))
	pay.say(50, 4)
	shop.say(50, 4)
	eventually(t, "the other sink", func() bool { return count(b.file("shop")) == 200 })
	eventually(t, "stalled", func() bool { return g.Status()[0].State == sink.Stalled })
	eventually(t, "lag", func() bool { return g.Status()[0].Lag == 50 })
	if code, body := get(t, g, "/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "no space left") {
		t.Errorf("/readyz: %d %s", code, body)
	}
	if n := count(b.file("payments")); n != 0 {
		t.Errorf("%d lines of a destination that failed", n)
	}
	broken.Store(false)
	eventually(t, "all", func() bool { return count(b.file("payments")) >= 200 })
	eventually(t, "ready", func() bool { return g.Ready() == nil })
	pay.once(b.file("payments"))
	shop.once(b.file("shop"))
	if d := b.dead(); len(d) > 0 {
		t.Errorf("dead letters because a destination failed: %v", d)
	}
	if n := strings.Count(g.log.String(), "no space left"); n != 1 {
		t.Errorf("said %d times that there is no space left", n)
	}
	if _, body := get(t, g, "/metrics"); !strings.Contains(body, `dlog_sink_entries_total{sink="payments"} 200`) {
		t.Errorf("/metrics lacks the entries:\n%s", body)
	}
}

func get(t *testing.T, g *running, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

// TestLateAcks: commits that take longer than the ack wait make the server deliver again what is in hand; nothing comes twice.
func TestLateAcks(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	_, err := b.js.CreateConsumer(t.Context(), "DLOG_TO_payments", jetstream.ConsumerConfig{
		Durable: "payments", DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckExplicitPolicy, AckWait: 200 * time.Millisecond,
		MaxDeliver: -1, MaxAckPending: 500, PriorityPolicy: jetstream.PriorityPolicyPinned, PriorityGroups: []string{"dlog"}, PinnedTTL: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.say(20, 5)
	var commits atomic.Int32
	b.run(b.config("payments"), hook(func(sink.Batch) error {
		if commits.Add(1) <= 3 {
			<-time.After(500 * time.Millisecond) // a slow destination, not a wait for an event
		}
		return nil
	}))
	eventually(t, "first commit", func() bool { return commits.Load() >= 1 })
	s.say(20, 5)
	eventually(t, "all", func() bool { return count(b.file("payments")) >= 200 })
	eventually(t, "all acked", func() bool {
		c, err := b.js.Consumer(t.Context(), "DLOG_TO_payments", "payments")
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().NumPending == 0
	})
	s.once(b.file("payments"))
}

// TestAgain: a pack that came before as another message is stored once, its new entries included.
func TestAgain(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	lines, ids := s.pack(10)
	s.publish(lines, 10, false)
	more, others := s.pack(3)
	b.run(b.config("payments"), kinds)
	eventually(t, "the first", func() bool { return count(b.file("payments")) == 10 })
	s.publish(append(lines, more...), 13, true)
	for _, id := range append(ids, others...) {
		s.said[id]++
	}
	eventually(t, "the others", func() bool { return count(b.file("payments")) >= 13 })
	s.once(b.file("payments"))
}

// TestWaits: sinks may be started before the server and before the stream; each is said once.
func TestWaits(t *testing.T) {
	b := newBed(t)
	b.conn.Close()
	b.srv.Close()
	g := b.run(b.config("payments"), kinds)
	eventually(t, "waiting for the server", func() bool { return g.Status()[0].State == sink.Waiting })
	b.start()
	eventually(t, "waiting for the stream", func() bool { return strings.Contains(g.Status()[0].Error, "no such stream") })
	b.ensurePayments()
	s := b.source("payments")
	s.say(3, 1)
	eventually(t, "entries", func() bool { return count(b.file("payments")) == 3 })
	if n := strings.Count(g.log.String(), "no such stream"); n != 1 {
		t.Errorf("said %d times that the stream is not there:\n%s", n, g.log)
	}
}

// TestConsole: the console writes what the conditions let through.
func TestConsole(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	s.say(3, 2)
	out := &logged{}
	g := b.runTo(fmt.Sprintf("[nats]\nurls = [%q]\n[[sink]]\nname=\"show\"\ntype=\"console\"\nstream=\"payments\"\nformat=\"json\"\nwhere=[\"n>2\"]\n", "nats://"+b.addr), kinds, out)
	eventually(t, "four lines", func() bool { return strings.Count(out.String(), "\n") == 4 })
	if err := g.stop(); err != nil {
		t.Error(err)
	}
	s.say(1, 1)
	b.runTo(fmt.Sprintf("[nats]\nurls = [%q]\n[[sink]]\nname=\"show\"\ntype=\"console\"\nstream=\"payments\"\nformat=\"pretty\"\n", "nats://"+b.addr), kinds, out)
	eventually(t, "one more, pretty", func() bool { return strings.Count(out.String(), "\n") == 5 })
	if last := out.String(); !strings.Contains(last, "info   shop said") {
		t.Errorf("console shows\n%s", last)
	}
}
