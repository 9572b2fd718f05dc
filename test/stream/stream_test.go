// Package stream_test drives pkg/stream against a real server. The tests live here because pkg/stream is in the import
// closure of pkg/dlog, which must not drag a server into applications.
package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a server with a connection.
type world struct {
	t    *testing.T
	data string
	srv  *natsd.Server
	nc   *nats.Conn
	js   jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, data: t.TempDir()}
	w.start("127.0.0.1:0")
	t.Cleanup(func() { w.nc.Close(); w.srv.Close() })
	nc, err := w.srv.Connect(nats.ReconnectBufSize(-1), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	w.nc = nc
	if w.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) start(listen string) {
	w.t.Helper()
	srv, err := natsd.Start(w.t.Context(), natsd.Config{Listen: listen, Data: w.data})
	if err != nil {
		w.t.Fatal(err)
	}
	w.srv = srv
}

// restart stops the server and starts it again on the same port.
func (w *world) restart(between func()) {
	w.t.Helper()
	at := w.srv.Addr()
	w.srv.Close()
	if between != nil {
		between()
	}
	w.start(at)
}

func (w *world) ensure(spec stream.Spec) {
	w.t.Helper()
	if err := stream.Ensure(w.t.Context(), w.js, spec); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) say(subject string, from, to int) {
	w.t.Helper()
	for i := from; i <= to; i++ {
		if _, err := w.js.PublishAsync(subject, fmt.Appendf(nil, `{"n":%d}`, i), jetstream.WithStallWait(10*time.Second)); err != nil {
			w.t.Fatal(err)
		}
	}
	<-w.js.PublishAsyncComplete()
}

func TestEnsure(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	in := stream.SpecIn("dlog", stream.Keep{MaxBytes: 1 << 20})
	w.ensure(in)
	w.ensure(in)
	info := func() *jetstream.StreamInfo {
		s, err := w.js.Stream(ctx, in.Name)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo()
	}
	c := info().Config
	if c.Name != "DLOG_IN" || c.MaxAge != 7*24*time.Hour || c.Duplicates != 20*time.Second || c.Compression != jetstream.S2Compression || !c.AllowDirect {
		t.Fatalf("made as %+v", c)
	}

	// Limits that remove nothing are followed, up and down.
	w.say("dlog.in.a.info.-", 1, 1000)
	for _, bytes := range []int64{4 << 20, 2 << 20} {
		in.MaxBytes = bytes
		w.ensure(in)
		if got := info().Config.MaxBytes; got != bytes {
			t.Fatalf("max_bytes is %d, want %d", got, bytes)
		}
	}
	// One that would remove entries is not.
	in.MaxBytes = 1000
	err := stream.Ensure(ctx, w.js, in)
	var conflict *stream.Conflict
	if !errors.As(err, &conflict) || conflict.Blocks() || !strings.Contains(err.Error(), "max_bytes is 2097152, wanted 1000") {
		t.Fatalf("got %v", err)
	}
	if got := info().State.Msgs; got != 1000 {
		t.Fatalf("%d messages left of 1000", got)
	}
}

func TestEnsureConflicts(t *testing.T) {
	w := newWorld(t)
	f := func(have jetstream.StreamConfig, spec stream.Spec, want string) {
		t.Helper()
		if _, err := w.js.CreateStream(t.Context(), have); err != nil {
			t.Fatal(err)
		}
		err := stream.Ensure(t.Context(), w.js, spec)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, want)
		}
		var c *stream.Conflict
		if errors.As(err, &c) && !c.Blocks() {
			t.Errorf("%v does not block", err)
		}
		s, err := w.js.Stream(t.Context(), have.Name)
		if err != nil || s.CachedInfo().Config.Storage != have.Storage {
			t.Errorf("stream changed: %v", err)
		}
		if err := w.js.DeleteStream(t.Context(), have.Name); err != nil {
			t.Fatal(err)
		}
	}
	to := stream.SpecTo("dlog", "shop", stream.Keep{})
	f(jetstream.StreamConfig{Name: to.Name, Subjects: to.Subjects, Storage: jetstream.MemoryStorage}, to, "storage is Memory, wanted File")
	f(jetstream.StreamConfig{Name: to.Name, Subjects: []string{"other.>"}}, to, "subjects is other.>, wanted dlog.to.shop.>")
	f(jetstream.StreamConfig{Name: to.Name, Subjects: to.Subjects, Retention: jetstream.WorkQueuePolicy}, to, "retention is WorkQueue, wanted Limits")
	f(jetstream.StreamConfig{Name: "MINE", Subjects: []string{"dlog.>"}}, to, "another stream already takes its subjects dlog.to.shop.>")
	ctl := stream.SpecControl("dlog")
	f(jetstream.StreamConfig{Name: ctl.Name, Subjects: ctl.Subjects}, ctl, "max_msgs_per_subject is -1, wanted 1")
}

// read collects the numbers of what Read gives.
func (w *world) read(cfg stream.ReadConfig, stopAfter int) ([]string, error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	err := stream.Read(ctx, w.js, cfg, func(p stream.Pack) error {
		got = append(got, string(p.Data))
		if len(got) == stopAfter {
			return stream.ErrStop
		}
		return nil
	})
	return got, err
}

func TestReadToTheEnd(t *testing.T) {
	w := newWorld(t)
	in := stream.SpecIn("dlog", stream.Keep{})
	w.ensure(in)
	f := func(cfg stream.ReadConfig, first string, want int) {
		t.Helper()
		cfg.Stream, cfg.StopAtEnd = in.Name, true
		got, err := w.read(cfg, 0)
		if err != nil || len(got) != want || (want > 0 && got[0] != first) {
			t.Errorf("%+v: %d packs from %.1q, error %v; want %d from %s", cfg, len(got), got, err, want, first)
		}
	}
	f(stream.ReadConfig{}, "", 0)
	w.say("dlog.in.a.info.-", 1, 5000)
	w.say("dlog.in.a.task.x", 5001, 5010)
	half := time.Now()
	w.say("dlog.in.b.info.-", 5011, 6000)
	f(stream.ReadConfig{}, `{"n":1}`, 6000)
	f(stream.ReadConfig{FromSeq: 5995}, `{"n":5995}`, 6)
	f(stream.ReadConfig{FromSeq: 7000}, "", 0)
	f(stream.ReadConfig{Since: half}, `{"n":5011}`, 990)
	f(stream.ReadConfig{Until: half}, `{"n":1}`, 5010)
	f(stream.ReadConfig{Since: time.Now().Add(time.Hour)}, "", 0)
	f(stream.ReadConfig{Subjects: []string{"*.*.*.task.>"}}, `{"n":5001}`, 10)
	f(stream.ReadConfig{Subjects: []string{"dlog.in.b.>", "dlog.in.a.task.>"}}, `{"n":5001}`, 1000)
	f(stream.ReadConfig{Subjects: []string{"dlog.in.nobody.>"}}, "", 0)
	f(stream.ReadConfig{NewOnly: true}, "", 0)

	if _, err := w.read(stream.ReadConfig{Stream: "DLOG_NONE"}, 0); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("no such stream: %v", err)
	}
	boom := errors.New("boom")
	err := stream.Read(t.Context(), w.js, stream.ReadConfig{Stream: in.Name}, func(stream.Pack) error { return boom })
	if !errors.Is(err, boom) {
		t.Errorf("the function's error: %v", err)
	}
}

func TestReadSkipsWhatCannotBeDecoded(t *testing.T) {
	w := newWorld(t)
	in := stream.SpecIn("dlog", stream.Keep{})
	w.ensure(in)
	w.say("dlog.in.a.info.-", 1, 1)
	bad := &nats.Msg{Subject: "dlog.in.a.info.-", Header: nats.Header{stream.HdrContentType: {"application/cbor-seq"}}, Data: []byte("x")}
	if _, err := w.js.PublishMsg(t.Context(), bad); err != nil {
		t.Fatal(err)
	}
	w.say("dlog.in.a.info.-", 3, 3)
	var reasons []stream.Reason
	got, err := w.read(stream.ReadConfig{Stream: in.Name, StopAtEnd: true, Bad: func(p stream.Pack, err error) {
		reasons = append(reasons, stream.ReasonOf(err))
	}}, 0)
	if err != nil || len(got) != 2 || len(reasons) != 1 || reasons[0] != stream.ReasonType {
		t.Fatal(got, reasons, err)
	}
}

// TestReadFollowsThroughRestarts reads on while the server is stopped and started, with messages said in between.
func TestReadFollowsThroughRestarts(t *testing.T) {
	w := newWorld(t)
	in := stream.SpecIn("dlog", stream.Keep{})
	w.ensure(in)
	w.say("dlog.in.a.info.-", 1, 100)

	const total = 400
	reached := make(chan int, total)
	caught := make(chan struct{})
	result := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	go func() {
		n := 0
		result <- stream.Read(ctx, w.js, stream.ReadConfig{Stream: in.Name, CaughtUp: func() { close(caught) }}, func(p stream.Pack) error {
			n++
			if want := fmt.Sprintf(`{"n":%d}`, n); string(p.Data) != want || p.Seq != uint64(n) {
				return fmt.Errorf("got %s at %d, want %s", p.Data, p.Seq, want)
			}
			reached <- n
			if n == total {
				return stream.ErrStop
			}
			return nil
		})
	}()
	until := func(n int) {
		t.Helper()
		for {
			select {
			case i := <-reached:
				if i == n {
					return
				}
			case err := <-result:
				t.Fatalf("ended before %d: %v", n, err)
			case <-ctx.Done():
				t.Fatalf("%d not reached", n)
			}
		}
	}
	<-caught
	until(100)
	for i := 100; i < total; i += 100 {
		w.restart(nil)
		w.say2("dlog.in.a.info.-", i+1, i+100)
		until(i + 100)
	}
	if err := <-result; err != nil {
		t.Fatal(err)
	}
}

// say2 publishes one by one over a connection that may just be coming back.
func (w *world) say2(subject string, from, to int) {
	w.t.Helper()
	nc, err := w.srv.Connect()
	if err != nil {
		w.t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		w.t.Fatal(err)
	}
	for i := from; i <= to; i++ {
		if _, err := js.Publish(w.t.Context(), subject, fmt.Appendf(nil, `{"n":%d}`, i)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestReadEndsWhenTheRestExpired: messages that a reader waits for are removed under it.
func TestReadEndsWhenTheRestExpired(t *testing.T) {
	w := newWorld(t)
	in := stream.SpecIn("dlog", stream.Keep{})
	w.ensure(in)
	w.say("dlog.in.a.info.-", 1, 20_000)
	st, err := w.js.Stream(t.Context(), in.Name)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = stream.Read(t.Context(), w.js, stream.ReadConfig{Stream: in.Name, StopAtEnd: true}, func(stream.Pack) error {
		if n++; n == 1 {
			return st.Purge(t.Context())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// owner counts what becomes of deliveries.
type owner struct {
	mu         sync.Mutex
	left       int
	duplicates int
	failed     []error
	done       chan struct{}
}

func newOwner(n int) *owner { return &owner{left: n, done: make(chan struct{})} }

func (o *owner) Done(_ *stream.Delivery, duplicate bool, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if duplicate {
		o.duplicates++
	}
	if err != nil {
		o.failed = append(o.failed, err)
	}
	if o.left--; o.left == 0 {
		close(o.done)
	}
}

func (o *owner) wait(t *testing.T) {
	t.Helper()
	select {
	case <-o.done:
	case <-time.After(30 * time.Second):
		t.Fatal("not all done")
	}
}

func send(l *stream.Lane, o *owner, subject string, from, to int) {
	for i := from; i <= to; i++ {
		p := stream.Pack{Subject: subject, ID: fmt.Sprint("id-", i), Data: fmt.Appendf(nil, `{"n":%d}`, i), Count: 1}
		m := &nats.Msg{}
		p.Msg(m)
		l.Send(&stream.Delivery{Msg: m, Owner: o})
	}
}

func TestPublisher(t *testing.T) {
	w := newWorld(t)
	a, b := stream.SpecTo("dlog", "a", stream.Keep{}), stream.SpecTo("dlog", "b", stream.Keep{})
	w.ensure(a)
	p, err := stream.NewPublisher(w.nc, stream.PublisherConfig{Window: 100})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	la, lb := p.Lane(a.Name), p.Lane(b.Name)

	// Stream b is not there: it refuses, and a does not care.
	oa, ob := newOwner(5000), newOwner(500)
	send(lb, ob, "dlog.to.b.svc.info.-", 1, 500)
	send(la, oa, "dlog.to.a.svc.info.-", 1, 5000)
	oa.wait(t)
	if since, err := lb.Refusing(); since.IsZero() || err == nil || lb.Waiting() != 500 {
		t.Fatalf("refusing since %v: %v; waiting %d", since, err, lb.Waiting())
	}
	w.ensure(b)
	ob.wait(t)
	if since, _ := lb.Refusing(); !since.IsZero() || lb.Waiting() != 0 {
		t.Fatal("still refusing")
	}
	for name, want := range map[string]int{a.Name: 5000, b.Name: 500} {
		got, err := w.read(stream.ReadConfig{Stream: name, StopAtEnd: true}, 0)
		if err != nil || len(got) != want {
			t.Fatalf("%s: %d of %d, %v", name, len(got), want, err)
		}
		for i, s := range got {
			if s != fmt.Sprintf(`{"n":%d}`, i+1) {
				t.Fatalf("%s: %s at %d: order not kept", name, s, i+1)
			}
		}
	}

	// The same ids again are stored no second time.
	again := newOwner(5000)
	send(la, again, "dlog.to.a.svc.info.-", 1, 5000)
	again.wait(t)
	if again.duplicates != 5000 {
		t.Fatalf("%d duplicates of 5000", again.duplicates)
	}

	// What can never be stored is given back.
	lost := newOwner(1)
	la.Send(&stream.Delivery{Msg: &nats.Msg{Subject: "dlog.to.a.svc.info.-", Data: make([]byte, 2<<20)}, Owner: lost})
	lost.wait(t)
	if !errors.Is(lost.failed[0], nats.ErrMaxPayload) {
		t.Fatal(lost.failed)
	}
}

func TestPublisherThroughRestarts(t *testing.T) {
	w := newWorld(t)
	a := stream.SpecTo("dlog", "a", stream.Keep{})
	w.ensure(a)
	p, err := stream.NewPublisher(w.nc, stream.PublisherConfig{AckWait: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l := p.Lane(a.Name)
	const n = 20_000
	o := newOwner(n)
	go send(l, o, "dlog.to.a.svc.info.-", 1, n)
	for range 3 {
		w.restart(nil)
	}
	o.wait(t)
	got, err := w.read(stream.ReadConfig{Stream: a.Name, StopAtEnd: true}, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, s := range got {
		seen[s]++
	}
	if len(seen) != n || len(got) != n {
		t.Fatalf("%d stored, %d different, of %d", len(got), len(seen), n)
	}
}
