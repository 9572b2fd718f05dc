//go:build unix

package client

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// An application says numbered entries from some goroutines until it is killed: entries of all levels in tasks that begin and end, with a text that
// can be told from number and goroutine alone. Its arguments are its name, its ledger, how its spool is written, and how it ends if not by a kill.
func app(args []string) int {
	name, path, how := args[0], args[1], args[2]
	l, err := openLedger(path)
	if err == nil {
		if len(args) > 3 {
			go endBy(args[3], l)
		}
		err = runApp(l, name, how)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "application:", err)
		return 1
	}
	return 0
}

func runApp(l *ledger, name, how string) error {
	d, err := dlog.Open(dlog.Config{Service: "chaos", Also: "none", Queue: spool.Config{NoMap: how == written}})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	done := make(chan error)
	w := &watch{}
	go w.run(ctx)
	for g := range goroutines {
		go func() { done <- talk(ctx, d, l, w, name, g) }()
	}
	for range goroutines {
		if err := <-done; err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return d.Close(ctx)
}

// endBy ends the application once it has said something, in a way that no deferred function sees.
func endBy(what string, l *ledger) {
	for l.total() < 200 {
		pause(10 * time.Millisecond)
	}
	switch what {
	case "exit":
		os.Exit(3)
	case "panic":
		panic("as asked")
	case "fatal": // what recover cannot stop
		m := map[int]int{}
		for {
			go func() { m[0]++ }()
			m[1]++
		}
	}
}

// talk is one goroutine: every tenth entry is the start of a task, every tenth its end, and eight are said in it.
func talk(ctx context.Context, d *dlog.Client, l *ledger, w *watch, name string, g int) error {
	clock, err := newRunClock()
	if err != nil {
		return err
	}
	bare := zerolog.New(io.Discard).With().Timestamp().Logger()
	r := rand.New(rand.NewPCG(uint64(g), uint64(os.Getpid())))
	pace := newPace(l)
	s := speaker{d: d, r: r, key: name + " " + strconv.Itoa(g)}
	slow := 0
	for n := 0; pace.next(ctx); n++ {
		usage := threadUsage()
		before, start := clock.waited(), time.Now()
		s.say(ctx, n)
		took := time.Since(start)
		l.said[g].Store(uint64(n + 1)) // from here on the entry is promised
		net := took - (clock.waited() - before)
		if net > tooLong {
			did := usage.since()
			stood := w.stoodStill(start, start.Add(took))
			if slow++; slow <= 10 {
				fmt.Fprintf(os.Stderr, "entry %d took %v, %v without the time others had the core, of which the process stood still for %v: %s\n", n, took, net, stood, did)
			}
			net = min(net, took-stood)
		}
		l.wall.add(took)
		l.net.add(net)
		start = time.Now()
		bare.Info().Str("id", s.key).Msg(text(s.key, n))
		l.bare.add(time.Since(start))
	}
	return nil
}

type speaker struct {
	d   *dlog.Client
	r   *rand.Rand
	key string
	ctx context.Context
	t   *dlog.Task
}

func (s *speaker) say(ctx context.Context, n int) {
	id := s.key + " " + strconv.Itoa(n)
	switch n % 10 {
	case 0:
		s.ctx, s.t = s.d.Start(ctx, tasks[s.r.IntN(len(tasks))], dlog.Str("id", id), dlog.Str("text", text(s.key, n)))
	case 9:
		s.t.Add(dlog.Str("end_id", id), dlog.Str("end_text", text(s.key, n)))
		s.t.End(nil)
	default:
		zerolog.Ctx(s.ctx).WithLevel(levels[s.r.IntN(len(levels))]).Str("id", id).Str("text", text(s.key, n)).Msg("said")
	}
}

var (
	tasks  = []string{"place-order", "reserve", "charge-card", "send-mail", "refund"}
	levels = []zerolog.Level{
		zerolog.DebugLevel, zerolog.DebugLevel, zerolog.DebugLevel, zerolog.DebugLevel, zerolog.DebugLevel, zerolog.DebugLevel,
		zerolog.InfoLevel, zerolog.InfoLevel, zerolog.InfoLevel, zerolog.WarnLevel,
	}
)

// text is what entry n of a goroutine says, 0 to 1,500 bytes and mostly few.
func text(key string, n int) string {
	seed := uint64(n) * 0x9e3779b97f4a7c15
	for i := range len(key) {
		seed = (seed ^ uint64(key[i])) * 0x100000001b3
	}
	seed ^= seed >> 29
	length := int(seed % 300)
	if seed>>32%16 == 0 {
		length *= 5
	}
	from := int(seed >> 40 % uint64(len(babble)-length))
	return babble[from : from+length]
}

// babble has quotes and letters beyond ASCII, so that what is torn is found.
var babble = func() string {
	r := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	for b.Len() < 16<<10 {
		b.WriteString([]string{"order", "card", "42", "\"", " ", "\\", "timeout", "=", "{", "}", "reserve"}[r.IntN(11)])
	}
	return b.String()
}()

// pace lets through as many entries a second as the ledger says.
type pace struct {
	l     *ledger
	rate  uint64
	start time.Time
	n     float64
	tick  *time.Ticker
}

func newPace(l *ledger) *pace { return &pace{l: l, tick: time.NewTicker(time.Millisecond)} }

func (p *pace) next(ctx context.Context) bool {
	for ctx.Err() == nil {
		if rate := p.l.rate.Load(); rate != p.rate || p.start.IsZero() {
			p.rate, p.start, p.n = rate, time.Now(), 0
		}
		if p.l.hold.Load() == 0 && (p.rate == 0 || p.n < time.Since(p.start).Seconds()*float64(p.rate)/goroutines) {
			p.n++
			return true
		}
		select {
		case <-p.tick.C:
		case <-ctx.Done():
		}
		if p.l.hold.Load() != 0 {
			p.start, p.n = time.Now(), 0
		}
	}
	return false
}

// runClock tells for how long its goroutine, which keeps its thread, stood ready to run and the machine ran something else.
type runClock struct {
	f   *os.File
	buf [64]byte
}

func newRunClock() (*runClock, error) {
	runtime.LockOSThread()
	f, err := os.Open("/proc/thread-self/schedstat")
	if err != nil && runtime.GOOS == "linux" {
		return nil, err
	}
	return &runClock{f: f}, nil
}

func (c *runClock) waited() time.Duration {
	if c.f == nil {
		return 0
	}
	n, err := c.f.ReadAt(c.buf[:], 0)
	if err != nil && err != io.EOF {
		return 0
	}
	fields := bytes.Fields(c.buf[:n])
	if len(fields) < 2 {
		return 0
	}
	ns, _ := strconv.ParseInt(string(fields[1]), 10, 64)
	return time.Duration(ns)
}

// usage is what a thread has used.
type usage syscall.Rusage

func threadUsage() (u usage) {
	const thread = 1 // RUSAGE_THREAD of Linux; elsewhere the call fails and all is zero
	_ = syscall.Getrusage(thread, (*syscall.Rusage)(&u))
	return u
}

// since tells what a slow call did: whether it waited by itself (for a lock, or the disk), and for which pages.
func (u usage) since() string {
	now := threadUsage()
	return fmt.Sprintf("%d waits, %d preemptions, %d and %d page faults", now.Nvcsw-u.Nvcsw, now.Nivcsw-u.Nivcsw, now.Minflt-u.Minflt, now.Majflt-u.Majflt)
}

// watch is a goroutine that does nothing but look at the clock each millisecond. When it comes late, the process stood still: the host of a virtual machine
// had other work, or the garbage collector waited for a thread that the kernel had taken off its core. Nothing of dlog holds it up.
type watch struct {
	mu   sync.Mutex
	late [][2]time.Time
}

func (w *watch) run(ctx context.Context) {
	for ctx.Err() == nil {
		due := time.Now().Add(time.Millisecond)
		pause(time.Millisecond)
		if now := time.Now(); now.Sub(due) > time.Millisecond {
			w.mu.Lock()
			w.late = append(w.late, [2]time.Time{due, now})
			w.mu.Unlock()
		}
	}
}

// stoodStill returns for how long of the time between two points the watch was late.
func (w *watch) stoodStill(from, to time.Time) (d time.Duration) {
	pause(10 * time.Millisecond) // the watch may still be late
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, l := range w.late {
		begin, end := l[0], l[1]
		if begin.Before(from) {
			begin = from
		}
		if end.After(to) {
			end = to
		}
		d += max(end.Sub(begin), 0)
	}
	return d
}
