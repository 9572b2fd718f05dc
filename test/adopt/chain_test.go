package adopt

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// chain runs the three services, sends them one request, and returns the flags that name their logs.
func chain(t *testing.T, gateway, checkout, payments *service) (files []string) {
	t.Helper()
	dir := t.TempDir()
	gateway.name, checkout.name, payments.name = "gateway", "checkout", "payments"
	var server *httptest.Server
	for _, s := range []*service{payments, checkout, gateway} {
		if server != nil {
			s.next = server.URL
		}
		if s.step >= borders {
			s.jobs, s.done = make(chan job), make(chan struct{})
			go s.work()
			t.Cleanup(func() { close(s.jobs) })
		}
		server = start(t, dir, s)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Request-Id", "7f3a1b2c")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d", resp.StatusCode)
	}
	for _, name := range []string{"gateway", "checkout", "payments"} {
		files = append(files, "--file", filepath.Join(dir, name+".log"))
	}
	return files
}

// all runs the chain with every service at one step.
func all(t *testing.T, s step) []string {
	t.Helper()
	return chain(t, &service{step: s}, &service{step: s}, &service{step: s})
}

// traceOf returns the trace of the outermost task with the given path.
func traceOf(t *testing.T, path string, files []string) string {
	t.Helper()
	for line := range strings.Lines(sink(t, append([]string{"tasks", "--format", "json"}, files...)...)) {
		if strings.Contains(line, `"path":"`+path+`"`) {
			return line[len(`{"trace":"`):][:32]
		}
	}
	t.Fatalf("no task %s", path)
	return ""
}

func by(files []string) []string {
	return append([]string{"tree", "--by", "request_id", "7f3a"}, files...)
}

// TestWithoutAChange is step 1: the lines of programs that know nothing of dlog, from their files and through a pipe.
func TestWithoutAChange(t *testing.T) {
	files := all(t, plain)
	fromFiles := sink(t, by(files)...)
	shows(t, fromFiles)
	url := router(t)
	for i := 1; i < len(files); i += 2 {
		in, err := os.Open(files[i])
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(files[i]), ".log")
		cmd := program("dlog-agent", "pipe", "--service", name, "--nats", url, "--spool", "memory")
		cmd.Stdin = in
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("pipe: %v\n%s", err, out)
		}
		in.Close()
	}
	if got := sink(t, by([]string{"--nats", url})...); masked(got) != masked(fromFiles) {
		t.Errorf("through a pipe:\n%s\nfrom files:\n%s", got, fromFiles)
	}
	cmd := program("dlog-agent", "exec", "--service", "backup", "--name", "nightly-backup", "--nats", url, "--spool", "memory", "--", "sh", "-c", "echo copying; echo disk full >&2; exit 3")
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 3 || !strings.Contains(string(out), "copying") {
		t.Errorf("exec: %v\n%s", err, out)
	}
	shows(t, sink(t, "tasks", "--nats", url))
}

// router starts what is needed of one: a server with the stream that everything is said to.
func router(t *testing.T) string {
	t.Helper()
	s, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := stream.Ensure(ctx, js, stream.SpecIn("dlog", stream.Keep{MaxBytes: 1 << 28})); err != nil {
		t.Fatal(err)
	}
	return s.URL()
}

// TestAttached is step 2: the same to see, with an identity for each entry.
func TestAttached(t *testing.T) {
	files := all(t, attached)
	before := all(t, plain)
	if got, want := sink(t, by(files)...), sink(t, by(before)...); masked(got) != masked(want) {
		t.Errorf("attached:\n%s\nbefore:\n%s", got, want)
	}
	if out := sink(t, append([]string{"find", "--where", "dlog.seq=*", "--where", "request_id=7f3a1b2c", "--format", "json"}, files...)...); strings.Count(out, "\n") != 6 {
		t.Errorf("entries with an identity:\n%s", out)
	}

	url := router(t)
	t.Setenv("DLOG_URL", url)
	t.Setenv("DLOG_SPOOL", "memory")
	if err := sayOne("7f3a1b2c"); err != nil {
		t.Fatal(err)
	}
	if out := sink(t, by([]string{"--nats", url})...); !strings.Contains(out, "payments  succeeded (guessed)") || !strings.Contains(out, "charge requested") {
		t.Errorf("sent:\n%s", out)
	}
}

// TestSteps is steps 3 to 5: trees, each with more in it.
func TestSteps(t *testing.T) {
	for _, s := range []step{handled, borders, inside} {
		files := all(t, s)
		out := sink(t, append([]string{"tree", traceOf(t, "POST =2Forders", files)}, files...)...)
		shows(t, out)
		if gaps := sink(t, append([]string{"gaps", "--format", "json"}, files...)...); gaps != "" {
			t.Errorf("step %d: absent: %s", s, gaps)
		}
		if s == handled {
			shows(t, sink(t, append([]string{"tasks"}, files...)...))
		}
	}
}

// TestHole converts the first and the last service and leaves the one between: what the tree shows there depends on what that one
// passes on.
func TestHole(t *testing.T) {
	hole := func(p ...string) []string {
		return chain(t, &service{step: inside}, &service{step: plain, passes: p}, &service{step: inside})
	}
	noGaps := func(files []string) {
		t.Helper()
		if gaps := sink(t, append([]string{"gaps", "--format", "json"}, files...)...); gaps != "" {
			t.Errorf("absent: %s", gaps)
		}
	}

	files := hole() // nothing
	shows(t, sink(t, append([]string{"tree", traceOf(t, "POST =2Forders", files)}, files...)...))
	shows(t, sink(t, by(files)...))
	if traceOf(t, "POST =2Forders", files) == traceOf(t, "POST =2Fcharge", files) {
		t.Error("two trees have one trace, but nothing was passed on")
	}
	noGaps(files)

	files = hole(task.HeaderTask, task.HeaderTraceparent) // everything
	shows(t, sink(t, append([]string{"tree", traceOf(t, "POST =2Forders", files)}, files...)...))
	noGaps(files)

	files = hole(task.HeaderTraceparent) // what the standard says
	trace := traceOf(t, "POST =2Forders", files)
	out := sink(t, append([]string{"tree", trace}, files...)...)
	shows(t, out)
	if strings.Count(out, "trace "+trace) != 2 {
		t.Errorf("not two trees of one trace:\n%s", out)
	}
	noGaps(files)
}
