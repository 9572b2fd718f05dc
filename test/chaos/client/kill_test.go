//go:build unix

package client

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/spool"
)

var (
	rounds   = flag.Int("rounds", 10, "rounds that count, half of them with the server down for longer than the duplicate window")
	fallback = flag.Int("fallback", 4, "the same with written instead of mapped files")
	together = flag.Bool("together", true, "one outage for all rounds that need one, instead of one for each")
	onDisk   = flag.Bool("disk", false, "calls are timed with a spool on the disk, which may be busy, instead of one in memory")
	look     = flag.Bool("look", false, "where something is wrong, stand still for an hour")
	stopFor  = flag.Duration("stop", 3*time.Second, "for how long the server is stopped (SIGSTOP)")
)

// mapped and written are how a spool's files are filled.
const (
	mapped  = "mapped"
	written = "written"
)

// place is where a spool lies.
type place struct{ name, dir, how string }

// enough is how many entries must be un-acked at a kill.
const enough = 1000

func TestKilled(t *testing.T) {
	t.Parallel()
	killed(t, mapped, *rounds)
}

func TestKilledFallback(t *testing.T) {
	t.Parallel()
	killed(t, written, *fallback)
}

// An application ends by os.Exit, a panic and a fatal error of the runtime, without a server: the next start sends what was said.
func TestEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.killRouter()
	p := places(t, mapped)[0]
	for _, how := range []string{"exit", "panic", "fatal"} {
		r := w.startApp(p, 20000, false, how)
		select {
		case <-r.done:
		case <-time.After(time.Minute):
			t.Fatalf("%s: the application goes on", how)
		}
		if n := r.ledger.total(); n < 100 {
			t.Errorf("%s: only %d entries said: %s", how, n, r.stderr)
		}
	}
	w.startRouter()
	w.bury(p)
	w.newRoll().check()
}

// killed kills the application again and again, and compares in the end.
func killed(t *testing.T, how string, rounds int) {
	s := &siege{world: newWorld(t), places: places(t, how)}
	s.slow = startProxy(t, s.addr)
	s.url = s.slow.url()
	began := time.Now()
	for s.up < rounds-rounds/2 {
		s.killWithServer()
	}
	for s.down < rounds/2 {
		s.outage(func() bool { return s.down < rounds/2 })
	}
	s.finish()
	r := s.newRoll()
	r.check()
	t.Logf("%s: %d kills counted (%d did not: fewer than %d entries un-acked), %d of them with the server away for at least %v; un-acked at the kill: %d to %d, %d in all; %v",
		how, s.up+s.down, s.void, enough, s.down, s.shortest.Round(time.Millisecond), s.least, s.most, s.unacked, time.Since(began).Round(time.Second))
}

// places are a directory on the disk and one in memory, where the system has such.
func places(t *testing.T, how string) []place {
	all := []place{{name: "disk", dir: filepath.Join(t.TempDir(), "spool"), how: how}}
	if runtime.GOOS == "linux" {
		if dir, err := os.MkdirTemp("/dev/shm", "dlog-chaos"); err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			all = append(all, place{name: "memory", dir: dir, how: how})
		}
	}
	return all
}

type siege struct {
	*world
	slow     *proxy // answers take their time, so that much is stored and not acked when the application is killed
	places   []place
	n        int
	up, down int // kills that count, by the state of the server
	void     int // that do not
	unacked  int
	least    int
	most     int
	shortest time.Duration // outage
}

func pick(of ...int) int { return of[rand.IntN(len(of))] }

// next is where the next life of the application keeps its spool.
func (s *siege) next() place {
	s.n++
	return s.places[s.n%len(s.places)]
}

// killWithServer is a round in which the server works all the time: what is un-acked is on its way.
func (s *siege) killWithServer() {
	p := s.next()
	s.slow.late.Store(int64(pick(0, 5, 20, 60)) * int64(time.Millisecond))
	r := s.startApp(p, pick(5000, 20000, 30000), false)
	if rand.IntN(5) == 0 { // what the dead left must not gather for ever
		s.settle(r, p)
	}
	if rand.IntN(2) == 0 { // killed young, or while it is in full swing
		pause(time.Duration(rand.IntN(1000)) * time.Millisecond)
	}
	r.ledger.rate.Store(uint64(pick(0, 0, 30000)))
	s.reach(r, r.ledger.total()+uint64(1000+rand.IntN(15000)))
	if s.kill(r, p) {
		s.up++
	}
}

// kill kills an application and reports whether the round counts.
func (s *siege) kill(r *run, p place) bool {
	r.end(syscall.SIGKILL)
	if said := r.stderr.String(); !strings.Contains(said, "entries wait in "+p.dir) {
		s.t.Fatalf("%s did not keep its entries in %s: %s", r.name, p.dir, said)
	}
	n := s.waiting(p)
	if testing.Verbose() {
		s.t.Logf("%s killed with %d entries said, %d un-acked (%s, %d spools there)", r.name, r.ledger.total(), n, p.name, len(names(p.dir)))
	}
	if n < enough {
		s.void++
		return false
	}
	s.unacked += n
	s.most = max(s.most, n)
	if s.least == 0 || n < s.least {
		s.least = n
	}
	return true
}

// waiting counts what the last life of the application left un-acked. It looks at a copy: the next life shall find things as the kill left them.
func (s *siege) waiting(p place) (n int) {
	s.t.Helper()
	last := ""
	var at time.Time
	for _, name := range names(p.dir) {
		if st, err := os.Stat(filepath.Join(p.dir, name, "lock")); err == nil && st.ModTime().After(at) {
			last, at = name, st.ModTime()
		}
	}
	if last == "" {
		return 0
	}
	dir := s.t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, last), os.DirFS(filepath.Join(p.dir, last))); err != nil {
		s.t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	dead, err := spool.Adopt(dir)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, q := range dead {
		for _, pack := range q.Pending() {
			n += pack.Count
		}
		for _, ok := q.Next(); ok; _, ok = q.Next() {
			n++
		}
		if err := q.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
	return n
}

// outage kills the server while an application is at work, kills the application, and lets the server come back after the duplicate window
// has passed. The next life of the application may be there before the server is.
func (s *siege) outage(more func() bool) {
	p := s.next()
	r := s.startApp(p, 0, false)
	s.reach(r, uint64(1000+rand.IntN(5000)))
	s.killRouter()
	counted := 0
	for {
		s.reach(r, r.ledger.total()+1000+uint64(rand.IntN(8000)))
		if s.kill(r, p) {
			s.down++
			counted++
		}
		if !*together || !more() {
			break
		}
		p = s.next()
		r = s.startApp(p, 0, false)
	}
	if rand.IntN(2) == 0 {
		p = s.next()
		r = s.startApp(p, 0, false)
		s.reach(r, uint64(1+rand.IntN(5000)))
		r.ledger.rate.Store(1000)
	}
	pause(window + time.Second - time.Since(s.away))
	if gone := time.Since(s.away); counted > 0 && (s.shortest == 0 || gone < s.shortest) {
		s.shortest = gone
	}
	s.startRouter()
	if !r.ended() {
		pause(time.Duration(rand.IntN(2000)) * time.Millisecond)
		r.end(syscall.SIGKILL) // a kill more, which no round counts
	}
}

// finish lets a last life of the application in each place send what the dead left.
func (s *siege) finish() {
	s.t.Helper()
	for _, p := range s.places {
		s.bury(p)
	}
}

// bury starts an application that says nothing, and waits until it has sent what the dead left.
func (w *world) bury(p place) {
	w.t.Helper()
	r := w.startApp(p, 0, true)
	w.settle(r, p)
	r.end(syscall.SIGTERM)
	if left := names(p.dir); len(left) > 0 {
		w.t.Errorf("%s: left after the last end: %v (%s)", p.name, left, r.stderr)
	}
}

// settle waits until the spool of the run is the only one.
func (w *world) settle(r *run, p place) {
	w.t.Helper()
	if !await(2*time.Minute, func() bool { return strings.Contains(r.stderr.String(), "entries wait in ") && len(names(p.dir)) == 1 }) {
		w.t.Errorf("%s: the spools of the dead are not emptied: %s", p.name, r.stderr)
	}
}

func names(dir string) (all []string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		all = append(all, fmt.Sprint(e.Name()))
	}
	return all
}
