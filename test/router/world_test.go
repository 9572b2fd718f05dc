// Package router_test drives the router end to end: real servers, real kills, and a ledger kept outside.
package router_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
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
	"go.uber.org/goleak"

	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// childEnv names the configuration of a router that runs as a process of its own, to be killed.
const childEnv = "DLOG_TEST_ROUTER"

func TestMain(m *testing.M) {
	if path := os.Getenv(childEnv); path != "" {
		os.Exit(child(path))
	}
	goleak.VerifyTestMain(m)
}

// child runs a router until it is told to stop or killed. Its address is the first line it writes.
func child(path string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := router.Load(path)
	if err == nil {
		err = router.Run(ctx, cfg, router.Options{
			Log:   zerolog.New(os.Stderr).Level(zerolog.WarnLevel),
			Ready: func(a router.Addrs) { fmt.Println(a.NATS) },
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is a router in a process of its own.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	url string
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
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the router did not start: %v", err)
	}
	p.url = strings.TrimSpace(line)
	return p
}

// kill ends the process without a chance to do anything.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// terminate asks it to stop and returns when it has, with no error for a clean stop.
func (p *process) terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// running is a router inside the test's process.
type running struct {
	t      *testing.T
	addrs  router.Addrs
	cancel context.CancelFunc
	result chan error
}

// run starts a router and stops it when the test ends.
func run(t *testing.T, cfg router.Config) *running {
	t.Helper()
	return runWith(t, cfg, router.Options{})
}

func runWith(t *testing.T, cfg router.Config, opts router.Options) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, cancel: cancel, result: make(chan error, 1)}
	ready := make(chan router.Addrs, 1)
	go func() {
		opts.Ready = func(a router.Addrs) { ready <- a }
		opts.Log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
		r.result <- router.Run(ctx, cfg, opts)
	}()
	t.Cleanup(r.stop)
	select {
	case r.addrs = <-ready:
	case err := <-r.result:
		r.result <- nil
		t.Fatalf("the router did not start: %v", err)
	}
	return r
}

func (r *running) stop() {
	r.cancel()
	if err := <-r.result; err != nil {
		r.t.Errorf("the router ended with: %v", err)
	}
	r.result <- nil
}

// load writes a configuration and reads it as the program would. The server and its directory are the test's own.
func load(t *testing.T, toml string) router.Config {
	t.Helper()
	cfg, err := router.Load(write(t, toml))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// write puts a configuration into a file, below a header with free ports and a directory of the test's own.
func write(t *testing.T, toml string) string {
	t.Helper()
	dir := t.TempDir()
	if !strings.Contains(toml, "[server]") {
		toml += fmt.Sprintf("\n[server]\nlisten = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\ndata = %q\n", filepath.Join(dir, "data"))
	}
	path := filepath.Join(dir, "router.toml")
	writeFile(t, path, toml)
	return path
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// client is a connection of an application or a reader.
type client struct {
	t  *testing.T
	nc *nats.Conn
	js jetstream.JetStream
}

func dial(t *testing.T, url string) *client {
	t.Helper()
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond), nats.ReconnectBufSize(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, nc, js}
}

// say publishes a message as an application would and waits for its ack.
func (c *client) say(subject, data string, headers ...string) {
	c.t.Helper()
	m := &nats.Msg{Subject: subject, Data: []byte(data), Header: nats.Header{}}
	for i := 0; i+1 < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	if _, err := c.js.PublishMsg(ctx, m); err != nil {
		c.t.Fatalf("say %s: %v", subject, err)
	}
}

// got is one line as it stands in a stream.
type got struct {
	subject, line string
	header        nats.Header
}

// follow gives each line of a stream to f until f says that it has seen enough.
func (c *client) follow(name string, f func(got) bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 90*time.Second)
	defer cancel()
	cons, err := c.js.OrderedConsumer(ctx, name, jetstream.OrderedConsumerConfig{})
	if err != nil {
		c.t.Fatalf("read %s: %v", name, err)
	}
	it, err := cons.Messages()
	if err != nil {
		c.t.Fatal(err)
	}
	defer it.Stop()
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			c.t.Fatalf("read %s: %v", name, err)
		}
		for line := range stream.Lines(m.Data()) {
			if !f(got{m.Subject(), string(line), nats.Header(m.Headers())}) {
				return
			}
		}
	}
}

// first reads the first n lines of a stream.
func (c *client) first(name string, n int) (all []got) {
	c.t.Helper()
	if n == 0 {
		return nil
	}
	c.follow(name, func(g got) bool {
		all = append(all, g)
		return len(all) < n
	})
	return all
}

// everything reads what a stream holds at this moment.
func (c *client) everything(name string) (all []stream.Pack) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 60*time.Second)
	defer cancel()
	err := stream.Read(ctx, c.js, stream.ReadConfig{Stream: name, StopAtEnd: true}, func(p stream.Pack) error {
		all = append(all, p)
		return nil
	})
	if err != nil {
		c.t.Fatalf("read %s: %v", name, err)
	}
	return all
}

// settled waits until the routers have acked everything that IN holds.
func (c *client) settled(in string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 60*time.Second)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	var last *jetstream.ConsumerInfo
	for {
		cons, err := c.js.Consumer(ctx, in, "router")
		if err == nil {
			last = cons.CachedInfo()
			if last.NumPending == 0 && last.NumAckPending == 0 {
				return
			}
		}
		select {
		case <-ctx.Done():
			c.t.Fatalf("not settled: %+v %v", last, err)
		case <-t.C:
		}
	}
}

// metrics scrapes the router. Keys are as in the exposition: name{labels}.
func (r *running) metrics() map[string]float64 {
	r.t.Helper()
	all := map[string]float64{}
	for line := range strings.Lines(r.get("/metrics", http.StatusOK)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil && strings.HasPrefix(key, "dlog_router_") {
			all[key] = v
		}
	}
	return all
}

func (r *running) get(path string, status int) string {
	r.t.Helper()
	code, body := r.fetch(path)
	if code != status {
		r.t.Fatalf("%s: status %d, want %d: %s", path, code, status, body)
	}
	return body
}

func (r *running) fetch(path string) (int, string) {
	r.t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	res, err := c.Get(r.addrs.HTTP + path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// balance checks that every entry is in exactly one state, and returns the reading.
func (r *running) balance() map[string]float64 {
	r.t.Helper()
	m := r.metrics()
	var sum float64
	for k, v := range m {
		switch name, _, _ := strings.Cut(k, "{"); name {
		case "dlog_router_entries_in_flight", "dlog_router_entries_delivered_total", "dlog_router_entries_dropped_total", "dlog_router_entries_dead_total":
			sum += v
		}
	}
	if sum != m["dlog_router_entries_received_total"] {
		r.t.Fatalf("received %v, states add up to %v: %v", m["dlog_router_entries_received_total"], sum, m)
	}
	return m
}

func number(t *testing.T, line string) int {
	t.Helper()
	var v struct{ N int }
	if err := json.Unmarshal([]byte(line), &v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return v.N
}
