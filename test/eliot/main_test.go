// Package eliot tries dlog beside its relatives: programs that log with the Python library Eliot, and clients that know W3C trace
// contexts only, stand in one tree with programs in Go. The Python programs are real ones and need Debian's python3-eliot; without it
// their tests say that they did not run. DLOG_NEED_ELIOT=1 makes that a failure.
package eliot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/cli"
	"github.com/dlog-fabric/dlog/pkg/structure"
)

// runAs names the program that this test binary is when it starts itself.
const runAs = "DLOG_TEST_RUN_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(runAs) {
	case "dlog-sink":
		os.Exit(cli.Sink())
	case "convert":
		os.Exit(convert())
	}
	os.Exit(m.Run())
}

// sink runs dlog-sink and returns what it prints.
func sink(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), runAs+"=dlog-sink", "TZ=UTC")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dlog-sink %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// interpreter returns the Python that has Eliot.
func interpreter(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import eliot").Run() == nil {
			return path
		}
	}
	const why = "did not run: no python3 here can import eliot (Debian: apt-get install python3-eliot)"
	if os.Getenv("DLOG_NEED_ELIOT") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// python runs a program of testdata, which logs to the file, and returns what it prints, trimmed.
func python(t *testing.T, program, log string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(interpreter(t), append([]string{filepath.Join("testdata", program), log}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", program, err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}

// process makes a process of a Go program that logs to a file and sends nothing.
func process(t testing.TB, service, log string) *structure.Process {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	p, err := structure.New(structure.Config{Service: service, Out: structure.Writer(f)})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shuffled writes the lines of the files in an order that chance gives, all in one file, and returns its name.
func shuffled(t *testing.T, seed uint64, files ...string) string {
	t.Helper()
	var lines [][]byte
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, bytes.Split(bytes.TrimSpace(data), []byte("\n"))...)
	}
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(lines), func(i, k int) { lines[i], lines[k] = lines[k], lines[i] })
	name := filepath.Join(t.TempDir(), fmt.Sprintf("all-%d.log", seed))
	if err := os.WriteFile(name, bytes.Join(lines, []byte("\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// node is a task as dlog-sink tree --format json has it.
type node struct {
	Trace, Pos, Path, Name, Service, Outcome string
	Entries                                  []json.RawMessage
	Children                                 []node
	Missing                                  []json.RawMessage
}

// treeOf reads a tree and wants it to be one, with nothing absent.
func treeOf(t *testing.T, trace string, files ...string) node {
	t.Helper()
	args := []string{"tree", trace, "--format", "json"}
	for _, f := range files {
		args = append(args, "--file", f)
	}
	out := strings.TrimSpace(sink(t, args...))
	if strings.Contains(out, "\n") {
		t.Fatalf("several trees:\n%s", out)
	}
	var n node
	if err := json.Unmarshal([]byte(out), &n); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	args = append([]string{"gaps", trace}, args[2:]...)
	if gaps := sink(t, args...); gaps != "" {
		t.Errorf("absent:\n%s", gaps)
	}
	return n
}

// outline writes a tree as one line per task: path, service, outcome, number of entries.
func (n node) outline() string {
	s := fmt.Sprintf("%s (%s) %s %d\n", n.Path, n.Service, n.Outcome, len(n.Entries))
	for _, c := range n.Children {
		s += c.outline()
	}
	return s
}
