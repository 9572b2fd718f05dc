package sink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestKilled: two teams, two streams, two processes. One is killed ten times under load and stays away for a while; the other one is
// not delayed; both end up with every entry exactly once.
func TestKilled(t *testing.T) {
	b := newBed(t, "payments", "shop")
	pay, shop := b.source("payments"), b.source("shop")
	config := filepath.Join(b.dir, "payments.toml")
	if err := os.WriteFile(config, []byte(b.config("payments")), 0o600); err != nil {
		t.Fatal(err)
	}
	other := b.run(b.config("shop"), kinds)

	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, s := range []*source{pay, shop} {
		load.Go(func() {
			for ctx.Err() == nil {
				s.say(20, 1+rand.IntN(20))
			}
		})
	}
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		before := count(b.file("payments"))
		child := b.process(config)
		eventually(t, "the child stores", func() bool { return count(b.file("payments")) > before+200 })
		kill(child)
	}
	cancel()
	load.Wait()
	eventually(t, "the other sink has kept up", func() bool { return other.Status()[0].Lag == 0 })
	child := b.process(config)
	eventually(t, "all stored", func() bool { return count(b.file("payments")) >= len(pay.said) })
	if err := child.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	kill(child)
	t.Logf("%d entries in %d rounds", len(pay.said), rounds)
	pay.once(b.file("payments"))
	shop.once(b.file("shop"))
}

// TestStandby: of two processes with one destination the second takes over when the first is killed, within two seconds after the pin
// was last renewed, and at once when it stops cleanly.
func TestStandby(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	config := filepath.Join(b.dir, "payments.toml")
	if err := os.WriteFile(config, []byte(b.config("payments")), 0o600); err != nil {
		t.Fatal(err)
	}
	child := b.process(config)
	s.say(10, 10)
	eventually(t, "the first stores", func() bool { return count(b.file("payments")) == 100 })
	second := b.run(b.config("payments"), kinds)
	eventually(t, "standing by", func() bool { return second.Status()[0].State == "standby" })
	s.say(10, 10)
	eventually(t, "the first stores on", func() bool { return count(b.file("payments")) == 200 })
	kill(child)
	killed := time.Now()
	s.say(10, 10)
	eventually(t, "the second takes over", func() bool { return count(b.file("payments")) > 200 })
	if took := time.Since(killed); took > 5*time.Second {
		t.Errorf("takeover took %v", took)
	} else {
		t.Logf("takeover after a kill: %v", took)
	}
	eventually(t, "all", func() bool { return count(b.file("payments")) >= 300 })

	third := b.run(b.config("payments"), kinds)
	eventually(t, "standing by", func() bool { return third.Status()[0].State == "standby" })
	if err := second.stop(); err != nil {
		t.Error(err)
	}
	stopped := time.Now()
	s.say(10, 10)
	eventually(t, "the third takes over", func() bool { return count(b.file("payments")) >= 400 })
	if took := time.Since(stopped); took > 2*time.Second {
		t.Errorf("takeover after a clean stop took %v", took)
	} else {
		t.Logf("takeover after a clean stop: %v", took)
	}
	s.once(b.file("payments"))
}

// TestGap: messages that limits removed before they were stored leave a record with the exact numbers, in their place.
func TestGap(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	s.say(10, 10)
	g := b.run(b.config("payments"), kinds)
	eventually(t, "100 lines", func() bool { return count(b.file("payments")) == 100 })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	ledger := s.said
	s.said = map[string]int{}
	s.say(14, 9) // messages 11 to 24, 126 entries: never stored
	s.said = ledger
	s.say(6, 8)
	st, err := b.js.Stream(t.Context(), "DLOG_TO_payments")
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= 24; seq++ {
		if err := st.DeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	b.run(b.config("payments"), kinds)
	eventually(t, "the rest", func() bool { return count(b.file("payments")) >= 149 })
	gaps := s.once(b.file("payments"))
	if len(gaps) != 1 || gaps[0].Messages != 14 || gaps[0].Entries == nil || *gaps[0].Entries != 126 || gaps[0].Dlog.Reason != "expired" {
		t.Errorf("gap records: %+v", gaps)
	}
	if lines := stored(t, b.file("payments")); lines[100].Dlog.Event != "gap" {
		t.Errorf("the gap stands elsewhere than in line 101")
	}
}

// TestRollback: an older copy of the server's data comes back. The sink goes on with what is stored later, and what is sent again is
// not stored twice.
func TestRollback(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	s.say(10, 10)
	b.run(b.config("payments"), kinds)
	eventually(t, "100 lines", func() bool { return count(b.file("payments")) == 100 })
	b.stop()
	older := filepath.Join(b.dir, "older")
	if err := os.CopyFS(older, os.DirFS(b.data())); err != nil {
		t.Fatal(err)
	}
	b.start()
	lines, ids := s.pack(10)
	s.publish(lines, 10, false)
	for _, id := range ids {
		s.said[id]++
	}
	s.say(5, 10)
	eventually(t, "160 lines", func() bool { return count(b.file("payments")) == 160 })
	b.stop()
	if err := os.RemoveAll(b.data()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(older, b.data()); err != nil {
		t.Fatal(err)
	}
	b.start()
	s.publish(lines, 10, false) // by a router that was rolled back too: it does not know that it repeats
	s.say(3, 10)
	eventually(t, "191 lines", func() bool { return count(b.file("payments")) >= 191 })
	gaps := s.once(b.file("payments"))
	if len(gaps) != 1 || gaps[0].Dlog.Reason != "epoch" || !strings.Contains(gaps[0].Message, "rolled back") {
		t.Errorf("gap records: %+v", gaps)
	}
}

// TestMadeAnew: a stream that was deleted and made again is read from its beginning.
func TestMadeAnew(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	s.say(10, 10)
	b.run(b.config("payments"), kinds)
	eventually(t, "100 lines", func() bool { return count(b.file("payments")) == 100 })
	if err := b.js.DeleteStream(t.Context(), "DLOG_TO_payments"); err != nil {
		t.Fatal(err)
	}
	b.ensurePayments()
	s.say(20, 10) // beyond the sequence committed
	eventually(t, "301 lines", func() bool { return count(b.file("payments")) >= 301 })
	gaps := s.once(b.file("payments"))
	if fmt.Sprint(len(gaps)) != "1" || !strings.Contains(gaps[0].Message, "made anew") {
		t.Errorf("gap records: %+v", gaps)
	}
}

// TestOlderDestination: a file that was restored from a backup is filled up again, although all of it was acked long ago.
func TestOlderDestination(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	path := b.file("payments")
	s.say(10, 10)
	g := b.run(b.config("payments"), kinds)
	eventually(t, "100 lines", func() bool { return count(path) == 100 })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	backup := map[string][]byte{}
	for _, name := range []string{path, path + ".state"} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		backup[name] = data
	}
	g = b.run(b.config("payments"), kinds)
	s.say(10, 10)
	eventually(t, "200 lines", func() bool { return count(path) == 200 })
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	for name, data := range backup {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.run(b.config("payments"), kinds)
	eventually(t, "200 lines again", func() bool { return count(path) >= 200 })
	s.once(path)
}

// TestTwoProcesses: two processes share a destination; one or the other is killed at random, the server is restarted, and every entry is
// stored exactly once.
func TestTwoProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	b := newBed(t, "payments")
	s := b.source("payments")
	path, config := b.file("payments"), filepath.Join(b.dir, "payments.toml")
	if err := os.WriteFile(config, []byte(b.config("payments")), 0o600); err != nil {
		t.Fatal(err)
	}
	children := [2]*exec.Cmd{b.process(config), b.process(config)}
	defer func() { kill(children[0]); kill(children[1]) }()
	for round := range 8 {
		before := count(path)
		s.say(50, 10)
		eventually(t, "some are stored", func() bool { return count(path) > before })
		if round == 4 {
			b.stop()
			b.start()
			continue
		}
		i := rand.IntN(2)
		s.say(50, 10)
		kill(children[i])
		children[i] = b.process(config)
	}
	eventually(t, "all stored", func() bool { return count(path) >= len(s.said) })
	s.once(path)
}
