package transport

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

func TestCalmSendsAtOnce(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for i := range 20 {
			r.log(fmt.Sprintf("dlog.in.a.info.s%d", i%3), entry.Info, `{"message":"x"}`)
			synctest.Wait()
			if n := len(r.link.packs()); n != i+1 {
				t.Fatalf("entry %d: %d packs, want it sent at once", i, n)
			}
			time.Sleep(10 * time.Millisecond) // fake time: 100 entries a second
		}
		for i, p := range r.link.packs() {
			if p.count() != "1" || p.again() || p.at != time.Duration(i)*10*time.Millisecond {
				t.Errorf("pack %d: count %s, again %v, at %v", i, p.count(), p.again(), p.at)
			}
		}
	})
}

func TestBusyKeepsToTheGrid(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for i := range 3000 { // 2,000 entries a second over 20 subjects
			r.log(fmt.Sprintf("dlog.in.a.info.s%d", i%20), entry.Info, `{"message":"x"}`)
			if i%50 == 25 {
				r.log("dlog.in.a.error.s", entry.Error, `{"message":"bad"}`)
				synctest.Wait()
				last := r.link.packs()[len(r.link.packs())-1]
				if since := time.Since(r.link.start); i > 300 && last.subject != "dlog.in.a.error.s" && since%urgentGrid == 0 {
					t.Errorf("an error waited at %v", since)
				}
			}
			if i%50 == 40 {
				r.logTo("dlog.in.a.task.s", entry.Error, true, `{"message":"task"}`)
			}
			time.Sleep(500 * time.Microsecond)
		}
		time.Sleep(time.Second)
		ticks := map[time.Duration]bool{}
		packs := r.link.packs()
		for _, p := range packs {
			if p.at < 200*time.Millisecond {
				continue // the rate is not known yet
			}
			ticks[p.at] = true
			if strings.Contains(p.subject, ".error.") {
				continue
			}
			if p.at%grid != 0 && p.at < 1500*time.Millisecond {
				t.Errorf("%s left at %v, off the grid", p.subject, p.at)
			}
		}
		if got := lineCount(packs); got != 3000+120 {
			t.Errorf("%d entries sent", got)
		}
		inOneFlight(t, packs, r.link.latency)
		if len(ticks) > 130+60+20 {
			t.Errorf("%d moments of sending in 1.3 s", len(ticks))
		}
	})
}

func TestUrgentWaitsTwoMilliseconds(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		for range 400 {
			r.log("dlog.in.a.info.s", entry.Info, `{}`)
			time.Sleep(time.Millisecond)
		}
		for range 50 {
			time.Sleep(7300 * time.Microsecond)
			for range 8 {
				r.log("dlog.in.a.info.s", entry.Info, `{}`)
			}
			logged := time.Since(r.link.start)
			r.log("dlog.in.a.warn.s", entry.Warn, `{}`)
			time.Sleep(urgentGrid)
			synctest.Wait()
			packs := r.link.packs()
			i := len(packs) - 1
			for packs[i].subject != "dlog.in.a.warn.s" {
				i--
			}
			if packs[i].at < logged || packs[i].at > logged+urgentGrid {
				t.Fatalf("warn of %v left at %v", logged, packs[i].at)
			}
		}
	})
}

func TestAFloodGrowsPacks(t *testing.T) {
	line := `{"message":"` + strings.Repeat("x", 1000) + `"}`
	bubble(t, func(r *rig, _ *Config) { r.link.latency = 30 * time.Millisecond }, func(t *testing.T, r *rig) {
		for range 20000 {
			r.log("dlog.in.a.info.s", entry.Info, line)
		}
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		packs := r.link.packs()
		if got := lineCount(packs); got != 20000 {
			t.Errorf("%d entries", got)
		}
		for _, p := range packs[1:] {
			if len(p.data) > maxPack {
				t.Errorf("pack of %d bytes", len(p.data))
			}
		}
		if len(packs) > 20000*(len(line)+1)/maxPack+4 {
			t.Errorf("%d packs", len(packs))
		}
		inOneFlight(t, packs, r.link.latency)
	})
}

func TestUnackedIsBounded(t *testing.T) {
	line := `{"message":"` + strings.Repeat("x", 10000) + `"}`
	bubble(t, func(r *rig, _ *Config) { r.link.reply = func(int, sentPack) *nats.Msg { return nil } }, func(t *testing.T, r *rig) {
		r.link.in.state(false)
		synctest.Wait()
		for i := range 2000 {
			r.log(fmt.Sprintf("dlog.in.a.info.s%d", i%100), entry.Info, line)
		}
		r.link.in.state(true)
		synctest.Wait()
		time.Sleep(100 * time.Millisecond)
		if n := r.tr.Stats().InFlight; n < maxUnacked || n > maxUnacked+maxPack {
			t.Errorf("%d bytes in flight", n)
		}
	})
}

func TestResendIsTheSame(t *testing.T) {
	lost := func(n int, _ sentPack) *nats.Msg {
		if n <= 3 {
			return nil
		}
		return ack()
	}
	bubble(t, func(r *rig, _ *Config) { r.link.reply = lost }, func(t *testing.T, r *rig) {
		r.log("dlog.in.a.info.s", entry.Info, `{"n":1}`)
		synctest.Wait()
		r.log("dlog.in.a.info.s", entry.Info, `{"n":2}`)
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		packs := r.link.packs()
		if len(packs) != 5 {
			t.Fatalf("%d publishes", len(packs))
		}
		want := fmt.Sprintf("%s.1.%08x", r.queue.Key(), crc32.Checksum([]byte("{\"n\":1}\n"), crc32.MakeTable(crc32.Castagnoli)))
		for i, p := range packs[:4] {
			if p.id() != want || p.data != "{\"n\":1}\n" || p.again() != (i > 0) {
				t.Errorf("publish %d: id %s (want %s), data %q, again %v", i, p.id(), want, p.data, p.again())
			}
			if i > 0 && p.at < packs[i-1].at+firstWait {
				t.Errorf("publish %d only %v after the one before", i, p.at-packs[i-1].at)
			}
		}
		if p := packs[4]; p.data != "{\"n\":2}\n" || p.again() {
			t.Errorf("second pack: %+v", p)
		}
		if s := r.tr.Stats(); s.Packs != 2 || s.Resends != 3 || s.Sent != 2 || s.Acked != 2 || s.InFlight != 0 {
			t.Errorf("stats %+v", s)
		}
		if said := r.reports(); len(said) != 2 || !strings.Contains(said[0], "does not answer") || !strings.HasPrefix(said[1], "over:") {
			t.Errorf("said %q", said)
		}
	})
}

func TestRefusedIsNotAgainUntilHalfTheWindow(t *testing.T) {
	refusing := true
	bubble(t, func(r *rig, _ *Config) {
		r.link.reply = func(int, sentPack) *nats.Msg {
			if refusing {
				return noStream()
			}
			return ack()
		}
	}, func(t *testing.T, r *rig) {
		r.log("dlog.in.a.info.s", entry.Info, `{}`)
		time.Sleep(15 * time.Second)
		synctest.Wait()
		refusing = false
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		packs := r.link.packs()
		if len(packs) < 8 || len(packs) > 40 {
			t.Errorf("%d publishes in 15 s", len(packs))
		}
		for _, p := range packs {
			if p.again() != (p.at >= againAfter) {
				t.Errorf("at %v again is %v", p.at, p.again())
			}
		}
		if said := r.reports(); len(said) != 2 || !strings.Contains(said[0], "no responders") || !strings.HasPrefix(said[1], "over:") {
			t.Errorf("said %q", said)
		}
	})
}

func TestDuplicateOnFirstPublishGetsANewID(t *testing.T) {
	bubble(t, func(r *rig, _ *Config) {
		r.link.reply = func(n int, _ sentPack) *nats.Msg { return dup() }
	}, func(t *testing.T, r *rig) {
		r.log("dlog.in.a.info.s", entry.Info, `{}`)
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		packs := r.link.packs()
		if len(packs) != 2 || packs[0].id() == packs[1].id() || packs[0].data != packs[1].data || packs[0].again() || !packs[1].again() {
			t.Errorf("packs %+v", packs)
		}
		if s := r.tr.Stats(); s.Duplicates != 1 || s.Acked != 1 {
			t.Errorf("stats %+v", s)
		}
	})
}

func TestReconnectResendsAtOnce(t *testing.T) {
	bubble(t, func(r *rig, _ *Config) {
		r.link.reply = func(n int, _ sentPack) *nats.Msg {
			if n <= 2 {
				return nil
			}
			return ack()
		}
	}, func(t *testing.T, r *rig) {
		r.log("dlog.in.a.info.s", entry.Info, `{"n":1}`)
		r.log("dlog.in.a.info.t", entry.Info, `{"n":2}`)
		synctest.Wait()
		r.link.in.state(false)
		synctest.Wait()
		r.log("dlog.in.a.info.u", entry.Info, `{"n":3}`)
		time.Sleep(time.Second)
		if n := len(r.link.packs()); n != 2 {
			t.Errorf("%d publishes while away", n)
		}
		r.link.in.state(true)
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		packs := r.link.packs()
		if len(packs) != 5 || packs[4].at > time.Second+2*r.link.latency {
			t.Fatalf("packs %+v", packs)
		}
		for _, p := range packs[2:] {
			if p.again() != (p.data != "{\"n\":3}\n") {
				t.Errorf("%s: again %v", p.data, p.again())
			}
		}
	})
}

func TestNotTakenIsNotAResend(t *testing.T) {
	bubble(t, func(r *rig, _ *Config) {
		r.link.fail = func(n int, _ *nats.Msg) error {
			if time.Since(r.link.start) < time.Second {
				return nats.ErrReconnectBufExceeded
			}
			return nil
		}
	}, func(t *testing.T, r *rig) {
		r.log("dlog.in.a.info.s", entry.Info, `{}`)
		time.Sleep(time.Second)
		r.link.in.state(true)
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if packs := r.link.packs(); len(packs) != 1 || packs[0].again() {
			t.Errorf("packs %+v", packs)
		}
	})
}

func TestDeniedIsSaidOnce(t *testing.T) {
	denied := true
	bubble(t, func(r *rig, _ *Config) {
		r.link.reply = func(_ int, p sentPack) *nats.Msg {
			if denied && strings.Contains(p.subject, ".bad.") {
				r.link.in.fault(fmt.Errorf("%w: Permissions Violation for Publish to %q", nats.ErrPermissionViolation, p.subject))
				return nil
			}
			return ack()
		}
	}, func(t *testing.T, r *rig) {
		for i := range 40 {
			r.log(fmt.Sprintf("dlog.in.bad.info.s%d", i%10), entry.Info, `{}`)
			r.log("dlog.in.good.info.s", entry.Info, `{}`)
			time.Sleep(time.Second)
		}
		if s := r.tr.Stats(); s.Acked != 40 || !strings.Contains(s.LastError, "does not allow") {
			t.Errorf("stats %+v", s)
		}
		if said := r.reports(); len(said) != 1 || !strings.Contains(said[0], `publish to "dlog.in.bad.info.s`) {
			t.Errorf("said %q", said)
		}
		denied = false
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if said := r.reports(); len(said) != 2 || !strings.HasPrefix(said[1], "over:") {
			t.Errorf("said %q", said)
		}
	})
}

func TestSmallServer(t *testing.T) {
	bubble(t, func(r *rig, _ *Config) { r.link.max = 32 << 10 }, func(t *testing.T, r *rig) {
		for range 100 {
			r.log("dlog.in.a.info.s", entry.Info, `{"message":"`+strings.Repeat("x", 2000)+`"}`)
		}
		r.log("dlog.in.a.info.s", entry.Info, `{"message":"`+strings.Repeat("y", 100000)+`"}`)
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		packs := r.link.packs()
		for _, p := range packs {
			if len(p.data) > 32<<10-headerRoom {
				t.Errorf("%d bytes", len(p.data))
			}
		}
		if last := packs[len(packs)-1].data; !strings.Contains(last, `"cut"`) {
			t.Errorf("the long line does not say that it was cut: %.100s", last)
		}
	})
}

func TestCloseSaysWhatStays(t *testing.T) {
	bubble(t, func(r *rig, _ *Config) { r.link.reply = func(int, sentPack) *nats.Msg { return fullErr() } }, func(t *testing.T, r *rig) {
		for range 5 {
			r.log("dlog.in.a.info.s", entry.Info, `{}`)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		err := r.tr.Close(ctx)
		var left *LeftError
		if !errors.As(err, &left) || left.Entries != 5 || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "maximum bytes exceeded") {
			t.Errorf("close: %v", err)
		}
		if again := r.tr.Close(t.Context()); again != err {
			t.Errorf("second close: %v", again)
		}
		r.log("dlog.in.a.info.s", entry.Info, `{}`) // still kept
		if err := r.tr.Flush(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("flush after close: %v", err)
		}
	})
}

func TestFlushUnderLoad(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		stop := make(chan struct{})
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
				}
				r.log("dlog.in.a.info.busy", entry.Info, `{}`)
				time.Sleep(100 * time.Microsecond)
			}
		}()
		for i := range 20 {
			r.log(fmt.Sprintf("dlog.in.a.info.s%d", i%3), entry.Info, fmt.Sprintf(`{"mark":%d}`, i))
			f, err := r.tr.Reserve("dlog.in.a.info.s", entry.Info, false, 10)
			if err != nil {
				t.Fatal(err)
			}
			f.Abandon()
			if err := r.tr.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(r.link.packs(), func(p sentPack) bool { return strings.Contains(p.data, fmt.Sprintf(`{"mark":%d}`, i)) }) {
				t.Fatalf("flush %d returned before its entry was sent", i)
			}
		}
		close(stop)
		<-done
	})
}

func TestUnreachableIsSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		cfg := Config{URL: "nats://user:secret@host:1", Queue: spool.NewMemory(spool.Config{}), Report: func(s string) { said = append(said, s) }}
		cfg.setDefaults()
		dials := 0
		l := &fakeLink{start: time.Now(), latency: time.Millisecond, max: 1 << 20}
		tr := start(cfg, true, func(_ context.Context, wake func()) (link, error) {
			if dials++; dials < 20 {
				return nil, errors.New("connection refused")
			}
			l.in = newInbox(wake)
			return l, nil
		})
		f, err := tr.Reserve("dlog.in.a.info.s", entry.Info, false, 10)
		if err != nil {
			t.Fatal(err)
		}
		f.Commit(copy(f.Line, "{}\n"))
		if err := tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if took := l.sent[0].at; took < 6*time.Second || took > 20*time.Second {
			t.Errorf("20 dials took %v", took)
		}
		if len(said) != 2 || !strings.Contains(said[0], "cannot reach nats://host:1: connection refused") || !strings.HasPrefix(said[1], "connected to nats://fake (after ") {
			t.Errorf("said %q", said)
		}
	})
}

func TestCloseEndsADial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := Config{Report: func(s string) { t.Errorf("said %q", s) }, Queue: spool.NewMemory(spool.Config{})}
		cfg.setDefaults()
		tr := start(cfg, true, func(ctx context.Context, _ func()) (link, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A goroutine that dies between Reserve and Commit holds up nobody for long.
func TestAFrameThatIsNeverFinished(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		if _, err := r.tr.Reserve("dlog.in.a.info.s", entry.Info, false, 100); err != nil {
			t.Fatal(err)
		}
		r.log("dlog.in.a.info.s", entry.Info, `{}`)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := lineCount(r.link.packs()); n != 1 {
			t.Errorf("%d entries sent", n)
		}
	})
}

func TestBrokenSubjectsTravel(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := wireSubject(in); got != want {
			t.Errorf("wireSubject(%q) = %q, want %q", in, got, want)
		}
	}
	f("dlog.in.a.info.-", "dlog.in.a.info.-")
	f("dlog.in.a b.info.x\r\ny", "dlog.in.a_b.info.x__y")
	f("dlog..a.*.>", "dlog._.a._._")
	f("", "_")
	f("a.\xff", "a._")
	if n := len(wireSubject(strings.Repeat("a.", 4000))); n > 2048 {
		t.Errorf("%d bytes", n)
	}
}

func TestNotifyAllocatesNothing(t *testing.T) {
	s := newSender(Config{Queue: spool.NewMemory(spool.Config{}), Report: func(string) {}}, nil)
	if n := testing.AllocsPerRun(1000, func() {
		s.sleeping.Store(eager)
		s.notify(entry.Info, false)
		s.sleeping.Store(lazy)
		s.notify(entry.Info, false)
		s.notify(entry.Warn, false)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
