package sink_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/store"
)

const sinksPage = "../../docs/sinks.md"

// blocks returns the code blocks of a page that are of a language.
func blocks(t *testing.T, page, language string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllSubmatch(text, -1) {
		out = append(out, string(m[1]))
	}
	if len(out) == 0 {
		t.Fatalf("%s has no %s", page, language)
	}
	return out
}

// TestDocsConfigurations: every configuration of the page loads.
func TestDocsConfigurations(t *testing.T) {
	known := maps.Clone(kinds)
	known["store"] = store.New
	known["level-counts"] = func() sink.Settings { return &pageSettings{} }
	for _, text := range blocks(t, sinksPage, "toml") {
		if _, err := sink.Decode(sinksPage, []byte(text), known); err != nil {
			t.Errorf("%v in\n%s", err, text)
		}
	}
}

// pageSettings are those of the page's own sink.
type pageSettings struct {
	Path string `toml:"path"`
}

func (*pageSettings) Validate() error                  { return nil }
func (*pageSettings) Kind(sink.Env) (sink.Kind, error) { return nil, nil }

// TestDocsProgram builds the page's program in a module of its own, runs it against a router, kills it, and runs it again.
func TestDocsProgram(t *testing.T) {
	bin := buildOwn(t, blocks(t, sinksPage, "go")[0])
	url, js := startRouter(t)
	dir := t.TempDir()
	counts, ready := filepath.Join(dir, "levels.json"), filepath.Join(dir, "ready")
	config := filepath.Join(dir, "levels.toml")
	text := blocks(t, sinksPage, "toml")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(text[len(text)-1], "levels.json", counts)), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(bin, "check", config).CombinedOutput(); err != nil {
		t.Fatalf("check: %v\n%s", err, out)
	}
	start := func() *exec.Cmd {
		t.Helper()
		cmd := exec.Command(bin, "--config", config, "--nats", url, "--http", "127.0.0.1:0", "--ready-file", ready)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { kill(cmd) })
		return cmd
	}
	cmd := start()
	want := map[string]int{}
	say := func(n int) {
		t.Helper()
		for i := range n {
			level := []string{"debug", "info", "warn"}[i%3]
			if _, err := js.Publish(t.Context(), "dlog.in.shop."+level+".-", fmt.Appendf(nil, `{"level":%q,"n":%d}`, level, i)); err != nil {
				t.Fatal(err)
			}
			want[level]++
		}
	}
	has := func() bool {
		var got struct{ Levels map[string]int }
		b, err := os.ReadFile(counts)
		return err == nil && json.Unmarshal(b, &got) == nil && maps.Equal(got.Levels, want)
	}
	say(300)
	eventually(t, "counted", has)
	say(300)
	kill(cmd)
	cmd = start()
	say(30)
	eventually(t, "counted after a kill", has)
	if runtime.GOOS == "windows" {
		return
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	if b, err := os.ReadFile(ready); err != nil || !strings.Contains(string(b), "http://127.0.0.1:") {
		t.Errorf("ready file: %s, %v", b, err)
	}
}

// buildOwn builds a program in a module that uses this one by a replace directive. It needs nothing but what this module has
// downloaded already.
func buildOwn(t *testing.T, code string) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(string(mod), "module github.com/dlog-fabric/dlog", "module example.com/level-counts", 1) +
		fmt.Sprintf("\nrequire github.com/dlog-fabric/dlog v0.0.0\nreplace github.com/dlog-fabric/dlog => %q\n", root)
	for name, text := range map[string]string{"go.mod": own, "go.sum": string(sum), "main.go": code} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bin := filepath.Join(dir, "level-counts.exe")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program of %s: %v\n%s", sinksPage, err, out)
	}
	return bin
}

// startRouter runs a router that sends everything to the stream "all".
func startRouter(t *testing.T) (string, jetstream.JetStream) {
	t.Helper()
	cfg := router.DefaultConfig()
	cfg.Server = router.Server{Listen: "127.0.0.1:0", Data: t.TempDir(), HTTP: "off"}
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan router.Addrs, 1), make(chan error, 1)
	go func() {
		ended <- router.Run(ctx, cfg, router.Options{Log: zerolog.Nop(), Ready: func(a router.Addrs) { ready <- a }})
	}()
	var url string
	select {
	case a := <-ready:
		url = a.NATS
	case err := <-ended:
		t.Fatal(err)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		nc.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return url, js
}
