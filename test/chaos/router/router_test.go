// Package router_test kills the router again and again in the middle of everything it can do, and compares all that it counts
// with a ledger kept outside.
package router_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/file"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// childEnv names the configuration of a router that runs as a process of its own, to be killed.
const childEnv = "DLOG_CHAOS_ROUTER_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		os.Exit(child(path))
	}
	os.Exit(m.Run())
}

// child runs a router until it is told to stop or killed. It writes one line when it is ready.
func child(path string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := router.Load(path)
	if err == nil {
		err = router.Run(ctx, cfg, router.Options{
			Log:   zerolog.New(os.Stderr).Level(zerolog.ErrorLevel),
			Ready: func(router.Addrs) { fmt.Println("ready") },
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is the router in a process of its own.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
}

func spawn(t *testing.T, config string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), childEnv+"="+config)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the router did not start: %v", err)
	}
	return p
}

// kill ends the process without a chance to do anything.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// plan is how much is done: DLOG_CHAOS_ENTRIES and DLOG_CHAOS_KILLS, of which every second one is long.
type plan struct {
	entries, kills int
	long           func(kill int) bool
}

func planned(t *testing.T) plan {
	number := func(name string, fallback int) int {
		s := os.Getenv(name)
		if s == "" {
			return fallback
		}
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			t.Fatalf("%s=%q is no count", name, s)
		}
		return n
	}
	p := plan{entries: 40_000, kills: 3, long: func(kill int) bool { return kill == 1 && !testing.Short() }}
	if os.Getenv("DLOG_CHAOS_KILLS") != "" {
		p.long = func(kill int) bool { return kill%2 == 1 }
	}
	p.entries, p.kills = number("DLOG_CHAOS_ENTRIES", p.entries), number("DLOG_CHAOS_KILLS", p.kills)
	return p
}

// TestRouter kills router and server, half of the times for longer than the server recognizes repeats, with at least 1,000 entries
// un-acked each time. In the end, and between the kills, the routers' ledger is right about every single message of IN; file
// sinks hold each copy that the rules make exactly once, byte by byte; each dropped entry is explained by its rule.
func TestRouter(t *testing.T) {
	t.Parallel()
	plan := planned(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d: %d entries, %d kills", seed, plan.entries, plan.kills)
	dir := t.TempDir()
	addr := freePort(t)
	config := writeConfig(t, dir, addr)
	cfg, err := router.Load(config)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rule.Compile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	process := spawn(t, config)
	js := dial(t, addr)
	stopSinks := runSinks(t, dir, addr, set)
	p := newProducer(t, js.Conn(), &oracle{set: set, plans: map[string]*rule.Plan{}}, rand.New(rand.NewPCG(seed, 0)))

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
	defer cancel()
	longs, unacked := 0, 0
	for kill := range plan.kills {
		n := 0
		for tries := 0; tries < 20 && (p.n < plan.entries*(kill+1)/plan.kills || n < 100); tries++ { // of 20 entries on average
			p.burst(max(400, (plan.entries*(kill+1)/plan.kills-p.n)/20))
			p.underway(ctx, 100)
			n = behind(ctx, t, js)
		}
		if n < 50 {
			t.Logf("kill %d: only %d messages un-acked", kill, n)
		}
		unacked += n
		process.kill()
		if plan.long(kill) {
			longs++
			<-time.After(stream.DuplicateWindow + 2*time.Second)
		}
		process = spawn(t, config)
		back(ctx, js.Conn())
		if kill%5 == 2 {
			p.audit(js, false) // in the middle of it all
		}
	}
	p.acked.Wait()
	settled(ctx, t, js)
	p.audit(js, true)
	p.judge(js)
	p.checkDead(js)
	p.checkStreams(js)
	for i := range p.streams {
		p.checkFile(filepath.Join(dir, set.Streams[i].Name+".ndjson"), p.streams[i])
	}
	stopSinks()
	t.Logf("%d kills, %d of them longer than the duplicate window, %d messages un-acked at a kill on average; %d entries said", plan.kills, longs, unacked/plan.kills, p.n)
	if err := process.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := process.cmd.Wait(); err != nil {
		t.Errorf("clean stop: %v", err)
	}
}

func writeConfig(t *testing.T, dir, addr string) string {
	t.Helper()
	rules, err := os.ReadFile("rules.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "router.toml")
	text := string(rules) + fmt.Sprintf("\n[server]\nlisten = %q\nhttp = \"off\"\ndata = %q\n", addr, filepath.Join(dir, "data"))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// freePort finds a port for a server that is to come back where it was.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func dial(t *testing.T, addr string) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect("nats://"+addr, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// runSinks writes each stream to a file, through all the kills.
func runSinks(t *testing.T, dir, addr string, set *rule.Set) (stop func()) {
	t.Helper()
	text := fmt.Sprintf("[nats]\nurls = [\"nats://%s\"]\n", addr)
	for _, s := range set.Streams {
		text += fmt.Sprintf("[[sink]]\nname = %q\ntype = \"file\"\nstream = %q\npath = %q\n", s.Name, s.Name, filepath.Join(dir, s.Name+".ndjson"))
	}
	cfg, err := sink.Decode("sinks.toml", []byte(text), map[string]sink.NewKind{"file": file.New})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		result <- sink.Run(ctx, cfg, sink.Options{Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)})
	}()
	var once bool
	stop = func() {
		if once {
			return
		}
		once = true
		cancel()
		if err := <-result; err != nil {
			t.Errorf("sinks: %v", err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// back waits until the connection is there again.
func back(ctx context.Context, nc *nats.Conn) {
	t := time.NewTicker(5 * time.Millisecond)
	defer t.Stop()
	for !nc.IsConnected() && ctx.Err() == nil {
		<-t.C
	}
}

// consumer asks for the state of the routers' consumer.
func consumer(ctx context.Context, js jetstream.JetStream) *jetstream.ConsumerInfo {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	c, err := js.Consumer(ctx, "DLOG_IN", "router")
	if err != nil {
		return nil
	}
	return c.CachedInfo()
}

// behind returns how many messages the router has yet to ack.
func behind(ctx context.Context, t *testing.T, js jetstream.JetStream) int {
	t.Helper()
	for ctx.Err() == nil {
		if i := consumer(ctx, js); i != nil {
			return i.NumAckPending + int(i.NumPending)
		}
	}
	t.Fatal("the consumer is gone")
	return 0
}

// settled waits until the router has acked all there is.
func settled(ctx context.Context, t *testing.T, js jetstream.JetStream) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if i := consumer(ctx, js); i != nil && i.NumPending == 0 && i.NumAckPending == 0 {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal("never settled")
		case <-tick.C:
		}
	}
}

// checkFile waits until a sink's file has as many lines as it should, and compares each of them.
func (p *producer) checkFile(path string, want map[int]uint64) {
	p.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for lines(p.t, path) < len(want) && time.Now().Before(deadline) {
		<-time.After(100 * time.Millisecond)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		p.t.Fatal(err)
	}
	seen := make(map[int]bool, len(want))
	twice, other := 0, 0
	for line := range stream.Lines(data) {
		n := number(line)
		if seen[n] {
			twice++
		}
		seen[n] = true
		if want[n] != sum(line) {
			other++
		}
	}
	missing := 0
	for n := range want {
		if !seen[n] {
			missing++
		}
	}
	if missing+twice+other > 0 {
		p.t.Errorf("%s: of %d entries %d are missing, %d twice, %d other than they should be", filepath.Base(path), len(want), missing, twice, other)
	}
	p.t.Logf("%s: %d entries, each once and as it should be", filepath.Base(path), len(seen))
}

func lines(t *testing.T, path string) int {
	data, err := os.ReadFile(path)
	if err != nil {
		if !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return 0
	}
	return strings.Count(string(data), "\n")
}
