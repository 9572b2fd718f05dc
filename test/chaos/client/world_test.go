//go:build unix

package client

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/cli"
)

// roleEnv makes the test binary one of the programs.
const roleEnv = "DLOG_CHAOS_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "app":
		os.Exit(app(os.Args[1:]))
	case "router":
		os.Exit(cli.Router())
	case "sink":
		os.Exit(cli.Sink())
	}
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", "4") // most of what they do is wait
	}
	os.Exit(m.Run())
}

// window is how long the streams recognise repeated messages by their ids.
const window = 20 * time.Second

// world is a router, a sink that writes a file, and applications between which a ledger is kept. All are processes of their own.
type world struct {
	t    *testing.T
	dir  string
	addr string
	url  string // for applications; the server's own unless a proxy stands between
	file string

	router *process
	sink   *process
	away   time.Time // when the router was last killed
	runs   []*run
}

// run is one life of the application.
type run struct {
	*process
	name   string
	ledger *ledger
}

func newWorld(t *testing.T) *world {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), addr: l.Addr().String()}
	l.Close()
	w.url, w.file = "nats://"+w.addr, filepath.Join(w.dir, "sink.ndjson")
	w.startRouter()
	w.startSink()
	return w
}

func (w *world) data() string { return filepath.Join(w.dir, "data") }

func (w *world) startRouter() {
	w.t.Helper()
	ready := filepath.Join(w.dir, "router.ready")
	_ = os.Remove(ready)
	w.router = w.start("router", nil, "run", "--listen", w.addr, "--data", w.data(), "--http", "off", "--ready-file", ready)
	w.router.ready(ready)
	w.away = time.Time{}
}

func (w *world) killRouter() {
	w.router.end(syscall.SIGKILL)
	w.away = time.Now()
}

func (w *world) startSink() {
	w.t.Helper()
	conf, ready := filepath.Join(w.dir, "sink.toml"), filepath.Join(w.dir, "sink.ready")
	text := fmt.Sprintf("[nats]\nurls = [\"nats://%s\"]\n[[sink]]\nname = \"file\"\ntype = \"file\"\nstream = \"all\"\npath = %q\nrotate_size = \"0B\"\n", w.addr, w.file)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.sink = w.start("sink", nil, "run", "--config", conf, "--http", "off", "--ready-file", ready)
	w.sink.ready(ready)
}

// startApp starts the next life of the application; hold starts one that says nothing.
func (w *world) startApp(place place, rate int, hold bool, args ...string) *run {
	w.t.Helper()
	name := fmt.Sprint("run", len(w.runs))
	path := filepath.Join(w.dir, name+".ledger")
	l, err := openLedger(path)
	if err != nil {
		w.t.Fatal(err)
	}
	l.rate.Store(uint64(rate))
	if hold {
		l.hold.Store(1)
	}
	env := []string{"DLOG_URL=" + w.url, "DLOG_SPOOL=" + place.dir}
	r := &run{process: w.start("app", env, append([]string{name, path, place.how}, args...)...), name: name, ledger: l}
	w.runs = append(w.runs, r)
	return r
}

// reach waits until the run has said so many entries.
func (w *world) reach(r *run, n uint64) {
	w.t.Helper()
	if w.router.ended() && w.away.IsZero() {
		w.t.Fatalf("the router has ended by itself: %v %s", w.router.cmd.ProcessState, w.router.stderr)
	}
	if !await(time.Minute, func() bool { return r.ledger.total() >= n || r.ended() }) || r.ended() {
		w.t.Fatalf("%s has said %d entries of %d: %s", r.name, r.ledger.total(), n, r.stderr)
	}
}

// process is a started program; it is killed at the end of the test if it still runs.
type process struct {
	t      *testing.T
	what   string
	cmd    *exec.Cmd
	stderr *tail
	done   chan struct{}
}

func (w *world) start(role string, env []string, args ...string) *process {
	w.t.Helper()
	p := &process{t: w.t, what: role, cmd: exec.Command(os.Args[0], args...), stderr: &tail{}, done: make(chan struct{})}
	p.cmd.Env = append(append(os.Environ(), roleEnv+"="+role), env...)
	p.cmd.Stderr, p.cmd.Stdout = p.stderr, p.stderr
	if err := p.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // most are killed
	}()
	w.t.Cleanup(func() { p.end(syscall.SIGKILL) })
	return p
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) ready(file string) {
	p.t.Helper()
	if !await(time.Minute, func() bool { st, err := os.Stat(file); return err == nil && st.Size() > 0 }) {
		p.t.Fatalf("%s does not become ready: %s", p.what, p.stderr)
	}
}

// signal sends a signal, end one and waits for the end.
func (p *process) signal(sig syscall.Signal) { _ = p.cmd.Process.Signal(sig) }

func (p *process) end(sig syscall.Signal) {
	p.signal(sig)
	select {
	case <-p.done:
	case <-time.After(2 * time.Minute):
		p.t.Errorf("%s does not end: %s", p.what, p.stderr)
		_ = p.cmd.Process.Kill()
	}
}

// tail keeps the last of what a process says.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - 8<<10; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(bytes.ToValidUTF8(t.b, nil)))
}

// await polls until cond holds.
func await(limit time.Duration, cond func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		if cond() {
			return true
		}
	}
	return cond()
}

// pause lets something go on for a while.
func pause(d time.Duration) { <-time.After(d) }
