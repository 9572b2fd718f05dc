//go:build unix

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const teamsRules = `
[[stream]]
name = "red"
[[stream]]
name = "blue"
[default]
to = ["red"]
[[rule]]
name = "both"
match = { service = "both" }
to = ["red", "blue"]
`

// TestTeams runs two sink processes of two teams on two streams. One is stopped (SIGSTOP) for a while, then killed and started
// again: the other is not delayed, and the stopped one misses nothing and repeats nothing. DLOG_TEAMS_STOP says for how long it is
// stopped; scripts/chaos teams makes it a minute.
func TestTeams(t *testing.T) {
	pause := 3 * time.Second
	if s := os.Getenv("DLOG_TEAMS_STOP"); s != "" {
		var err error
		if pause, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	bin, dir := binaries(t), t.TempDir()
	rules := filepath.Join(dir, "router.toml")
	write(t, rules, teamsRules)
	_, url := startRouter(t, bin, "--config", rules, "--listen", "127.0.0.1:0")
	red := teamSink(t, bin, dir, url, "red")
	blue := teamSink(t, bin, dir, url, "blue")

	pub := newPublisher(t, url)
	pub.publish(500)
	waitLines(t, dir, "red", pub.n)
	waitLines(t, dir, "blue", pub.n)

	if err := blue.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(pause); time.Now().Before(end); {
		pub.publish(200)
		waitLines(t, dir, "red", pub.n) // the other team has everything while this one stands still
	}
	if err := blue.stop(syscall.SIGKILL); err == nil {
		t.Fatal("a killed process ended well")
	}
	pub.publish(200)
	blue = teamSink(t, bin, dir, url, "blue")
	waitLines(t, dir, "blue", pub.n)
	waitLines(t, dir, "red", pub.n)
	for _, p := range []*program{red, blue} {
		if err := p.stop(syscall.SIGTERM); err != nil {
			t.Errorf("sink: %v: %s", err, p.stderr)
		}
	}
	for _, team := range []string{"red", "blue"} {
		exactly(t, filepath.Join(dir, team+".ndjson"), pub.n)
	}
	t.Logf("%d entries, one team stopped for %v", pub.n, pause)
}

func teamSink(t *testing.T, bin, dir, url, team string) *program {
	t.Helper()
	conf, ready := filepath.Join(dir, team+".toml"), filepath.Join(dir, team+".ready")
	write(t, conf, fmt.Sprintf("[nats]\nurls = [%q]\n[[sink]]\nname = %q\ntype = \"file\"\nstream = %q\npath = %q\n",
		url, team, team, filepath.Join(dir, team+".ndjson")))
	if err := os.RemoveAll(ready); err != nil {
		t.Fatal(err)
	}
	p := start(t, filepath.Join(bin, "dlog-sink"), "run", "--config", conf, "--http", "127.0.0.1:0", "--ready-file", ready)
	p.ready(ready)
	return p
}

// publisher sends numbered plain entries as any NATS client would and waits for each to be stored.
type publisher struct {
	t  *testing.T
	js jetstream.JetStream
	n  int
}

func newPublisher(t *testing.T, url string) *publisher {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &publisher{t: t, js: js}
}

func (p *publisher) publish(count int) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for range count {
		line := fmt.Sprintf(`{"level":"info","n":%d,"message":"hello"}`, p.n)
		if _, err := p.js.Publish(ctx, "dlog.in.both.info.-", []byte(line)); err != nil {
			p.t.Fatal(err)
		}
		p.n++
	}
}

func waitLines(t *testing.T, dir, team string, want int) {
	t.Helper()
	path := filepath.Join(dir, team+".ndjson")
	if !await(60*time.Second, func() bool { return strings.Count(read(path), "\n") >= want }) {
		t.Fatalf("%s has %d lines of %d", team, strings.Count(read(path), "\n"), want)
	}
}

// exactly wants each number once and in order.
func exactly(t *testing.T, path string, n int) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(read(path), "\n"), "\n")
	if len(lines) != n {
		t.Errorf("%s: %d lines, want %d", filepath.Base(path), len(lines), n)
	}
	for i, line := range lines {
		if !strings.Contains(line, fmt.Sprintf(`"n":%d,`, i)) {
			t.Fatalf("%s: line %d is %s", filepath.Base(path), i, line)
		}
	}
}
