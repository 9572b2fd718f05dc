package e2e

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNATSCLI drives dlog with the official NATS command line: the wire is plain NATS and JSON. DLOG_NATS_CLI names the
// command; scripts/test installs it and names this test as not run where it cannot.
func TestNATSCLI(t *testing.T) {
	nats := os.Getenv("DLOG_NATS_CLI")
	if nats == "" {
		t.Skip("DLOG_NATS_CLI is not set: ./scripts/test natscli installs the official command and sets it")
	}
	bin := binaries(t)
	_, url := startRouter(t, bin, "--listen", "127.0.0.1:0")

	t.Run("what nats pub says reaches a sink", func(t *testing.T) {
		dir := t.TempDir()
		out := filepath.Join(dir, "all.ndjson")
		conf := filepath.Join(dir, "sink.toml")
		write(t, conf, "[nats]\nurls = [\""+url+"\"]\n[[sink]]\nname = \"all-file\"\ntype = \"file\"\nstream = \"all\"\npath = \""+out+"\"\n")
		sink := start(t, filepath.Join(bin, "dlog-sink"), "run", "--config", conf, "--http", "127.0.0.1:0")
		const line = `{"level":"info","message":"hi"}`
		command(t, nats, "--server", url, "--no-context", "pub", "dlog.in.svc.info.-", line)
		if !await(20*time.Second, func() bool { return strings.Contains(read(out), line+"\n") }) {
			t.Fatalf("the sink's file holds %q: %s", read(out), sink.stderr)
		}
		if err := sink.stop(syscall.SIGTERM); err != nil {
			t.Fatalf("sink: %v: %s", err, sink.stderr)
		}
	})

	t.Run("nats sub shows the errors below a task", func(t *testing.T) {
		dir := t.TempDir()
		raw := filepath.Join(dir, "raw")
		f, err := os.Create(raw)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		sub := start(t, "/bin/sh", "-c", `exec "$0" --server "$1" --no-context sub --raw 'dlog.in.*.error.place-order.>' >"$2"`, nats, url, raw)
		if !await(20*time.Second, func() bool { return subscribed(t, nats, url, raw) }) {
			t.Fatalf("nats sub does not receive: %s", sub.stderr)
		}
		ledger := filepath.Join(dir, "ledger")
		command(t, filepath.Join(bin, "shop"), "run", "--orders", "40", "--seed", "11", "--ledger", ledger, "--nats", url)
		want := errorsBelow(t, ledger)
		if len(want) == 0 {
			t.Fatal("seed 11 gives no error below place-order: choose another")
		}
		var got []string
		await(20*time.Second, func() bool { got = messages(t, raw); return len(got) >= len(want) })
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("nats sub shows\n%s\nthe shop said\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		_ = sub.stop(syscall.SIGINT) // how the official command ends on a signal is its own business
	})
}

// subscribed publishes a probe and tells whether nats sub has shown one.
func subscribed(t *testing.T, nats, url, raw string) bool {
	command(t, nats, "--server", url, "--no-context", "pub", "dlog.in.probe.error.place-order.probe", `{"level":"error","message":"probe"}`)
	return strings.Contains(read(raw), "probe")
}

// errorsBelow lists what the services said at level error below place-order: all but the gateway, which is place-order itself.
func errorsBelow(t *testing.T, ledger string) []string {
	t.Helper()
	var want []string
	for sc := bufio.NewScanner(strings.NewReader(read(ledger))); sc.Scan(); {
		var l struct{ Order, Service, Level, Message string }
		if err := json.Unmarshal(sc.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		if l.Level == "error" && l.Service != "gateway" {
			want = append(want, l.Service+" "+l.Message)
		}
	}
	slices.Sort(want)
	return want
}

// messages reads what nats sub printed: every line must be one plain JSON entry.
func messages(t *testing.T, raw string) []string {
	t.Helper()
	var got []string
	for sc := bufio.NewScanner(strings.NewReader(read(raw))); sc.Scan(); {
		if len(sc.Bytes()) == 0 {
			continue
		}
		var e struct {
			Message string
			Dlog    struct{ Svc string }
		}
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatalf("not a JSON line: %q: %v", sc.Text(), err)
		}
		if e.Message != "probe" {
			got = append(got, e.Dlog.Svc+" "+e.Message)
		}
	}
	return got
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(b)
}
