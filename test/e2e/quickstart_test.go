package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestQuickStart does what dlog-router dev tells a newcomer: the lines that it prints are pasted into a program of its own
// module, the program is run, and the commands that it names show the first tree.
func TestQuickStart(t *testing.T) {
	bin, dir := binaries(t), t.TempDir()
	ready, shown := filepath.Join(dir, "ready"), filepath.Join(dir, "shown")
	out, err := os.Create(shown)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	dev := exec.Command(filepath.Join(bin, "dlog-router"), "dev", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--ready-file", ready)
	dev.Stdout = out
	p := startCommand(t, dev)
	url := p.ready(ready)["nats"]

	app := filepath.Join(dir, "app")
	if err := os.Mkdir(app, 0o700); err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(app, "main.go"), "package main\n\nimport (\n\t\"context\"\n\t\"log\"\n\n\t\"github.com/dlog-fabric/dlog/pkg/dlog\"\n\t\"github.com/rs/zerolog\"\n)\n\nfunc main() {\n"+pasted(t, read(shown))+"}\n")
	goMod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(app, "go.mod"), "module hello\n\n"+strings.SplitN(string(goMod), "\n", 2)[1]+
		"\nrequire github.com/dlog-fabric/dlog v0.0.0\n\nreplace github.com/dlog-fabric/dlog => "+root+"\n")
	goSum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(app, "go.sum"), string(goSum))
	run := exec.Command("go", "run", "-mod=mod", ".")
	run.Dir = app
	run.Env = append(os.Environ(), "DLOG_URL="+url, "DLOG_ALSO=none", "DLOG_SPOOL=memory")
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("run the pasted lines: %v\n%s", err, out)
	}

	sink := filepath.Join(bin, "dlog-sink")
	tasks := command(t, sink, "tasks", "--nats", url)
	id := regexp.MustCompile(`✔ succeeded .* ([0-9a-f]{16}) +say-hello +hello`).FindStringSubmatch(tasks)
	if id == nil {
		t.Fatalf("dlog-sink tasks shows\n%s", tasks)
	}
	if tree := command(t, sink, "tree", id[1], "--nats", url); !strings.Contains(tree, "✔ say-hello  hello") || !strings.Contains(tree, "└─ info   hello") {
		t.Errorf("dlog-sink tree shows\n%s", tree)
	}
	if !await(startLimit, func() bool { return strings.Contains(read(shown), "hello say-hello hello") }) {
		t.Errorf("dev shows\n%s", read(shown))
	}
	if err := p.stop(os.Interrupt); err != nil {
		t.Errorf("dev: %v: %s", err, p.stderr)
	}
}

// pasted takes the Go lines out of what dev prints.
func pasted(t *testing.T, text string) string {
	t.Helper()
	_, rest, ok := strings.Cut(text, "In a Go program:\n")
	code, _, ok2 := strings.Cut(rest, "In another terminal:")
	if !ok || !ok2 {
		t.Fatalf("dev prints\n%s", text)
	}
	return code
}
