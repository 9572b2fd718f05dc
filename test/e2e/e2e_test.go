// Package e2e runs the programs as their users do: command lines, files, signals, exit codes.
package e2e

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/dlog-fabric/dlog/pkg/cli"
)

// TestMain makes this test binary able to be each of the programs: testscript runs it under their names.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"dlog-agent":  func() { os.Exit(cli.Agent()) },
		"dlog-router": func() { os.Exit(cli.Router()) },
		"dlog-sink":   func() { os.Exit(cli.Sink()) },
	})
}

// TestScripts runs testdata/*.txtar: commands, their input and their expected output in one file each.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"waitfile": waitFile,
			"setjson":  setJSON,
		},
	})
}

// waitFile waits until the named file exists and is not empty.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: waitfile FILE")
	}
	path := ts.MkAbs(args[0])
	if !await(20*time.Second, func() bool { st, err := os.Stat(path); return err == nil && st.Size() > 0 }) {
		ts.Fatalf("%s did not appear", args[0])
	}
}

// setJSON sets an environment variable from a key of a JSON file: setjson VAR FILE KEY.
func setJSON(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: setjson VAR FILE KEY")
	}
	var m map[string]string
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &m))
	ts.Setenv(args[0], m[args[2]])
}

// await polls cond until it holds; the limit only ends a test that would hang.
func await(limit time.Duration, cond func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		if cond() {
			return true
		}
	}
	return cond()
}

// startLimit ends a test whose program does not start.
const startLimit = 30 * time.Second

// binaries builds the programs once for the tests that need real processes.
func binaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "../../cmd/...", "../shop")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build programs: %v\n%s", err, out)
	}
	return dir
}

// A program is a started process of one of the binaries; it is killed at the end of the test if it still runs.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	done   chan error
}

func start(t *testing.T, bin string, args ...string) *program {
	t.Helper()
	return startCommand(t, exec.Command(bin, args...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *program {
	t.Helper()
	p := &program{t: t, cmd: cmd, stderr: &bytes.Buffer{}, done: make(chan error, 1)}
	p.cmd.Stderr = p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// ready waits for the program's ready file and returns its addresses.
func (p *program) ready(file string) map[string]string {
	p.t.Helper()
	var m map[string]string
	ok := await(startLimit, func() bool {
		b, err := os.ReadFile(file)
		return err == nil && json.Unmarshal(b, &m) == nil
	})
	if !ok {
		p.t.Fatalf("%s did not become ready: %s", p.cmd.Path, p.stderr)
	}
	return m
}

// stop ends the program with the signal and returns how it ended.
func (p *program) stop(sig os.Signal) error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	select {
	case err := <-p.done:
		return err
	case <-time.After(30 * time.Second):
		p.t.Fatalf("%s does not end: %s", p.cmd.Path, p.stderr)
		return nil
	}
}

func startRouter(t *testing.T, bin string, args ...string) (*program, string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "ready")
	args = append([]string{"run", "--data", filepath.Join(dir, "data"), "--http", "127.0.0.1:0", "--ready-file", file}, args...)
	p := start(t, filepath.Join(bin, "dlog-router"), args...)
	return p, p.ready(file)["nats"]
}

// command runs a program to its end and returns its standard output.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
