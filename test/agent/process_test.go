//go:build unix

package agent

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// command is dlog-agent as a process of its own.
func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = environ(agentEnv+"=1", "DLOG_URL="+w.url, "DLOG_SPOOL=memory")
	cmd.Stderr = os.Stderr
	return cmd
}

// TestPipeProcessDrains: told to stop, dlog-agent pipe takes what is still said, sends everything and ends well, though its input stays open.
func TestPipeProcessDrains(t *testing.T) {
	w := newWorld(t)
	cmd := w.command("pipe", "--service", "drained", "--echo")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	echoed := bufio.NewReader(out)
	say := func(text string) {
		t.Helper()
		fmt.Fprintln(in, text)
		if line, err := echoed.ReadString('\n'); err != nil || line != text+"\n" {
			t.Fatalf("%q came back as %q, %v", text, line, err)
		}
	}
	say("before")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	say("after")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, it := range w.stored() {
		got = append(got, it.Message)
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"after", "before"}) {
		t.Errorf("%q", got)
	}
}

// TestExecProcessSignals: each signal that dlog-agent exec gets is the program's, and dlog-agent ends when the program does.
func TestExecProcessSignals(t *testing.T) {
	f := func(sig syscall.Signal, name string) {
		t.Helper()
		w := newWorld(t)
		cmd := w.command("exec", "--name", "trap", "--", "sh", "-c",
			"trap 'echo got "+name+"; exit 7' "+name+"; echo ready; while :; do sleep 0.05; done")
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // without a terminal
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Process.Kill()
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if lines.Text() == "ready" {
				if err := cmd.Process.Signal(sig); err != nil {
					t.Fatal(err)
				}
			}
		}
		cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 7 {
			t.Errorf("%s: exit code %d", name, code)
		}
		root := w.root()
		if root.Outcome != task.Failed || root.Error != "exit code 7" || !slices.Contains(messages(root), "stdout none got "+name) {
			t.Errorf("%s: %s %q %q", name, root.Outcome, root.Error, messages(root))
		}
	}
	f(syscall.SIGTERM, "TERM")
	f(syscall.SIGINT, "INT")
	f(syscall.SIGHUP, "HUP")
	f(syscall.SIGUSR1, "USR1")
}

// TestPipeProcessReaderGone: the entries go on when nobody reads the echo any more.
func TestPipeProcessReaderGone(t *testing.T) {
	w := newWorld(t)
	cmd := w.command("pipe", "--service", "gone", "--echo")
	cmd.Stdin = strings.NewReader("one\n" + strings.Repeat("more\n", 100_000))
	r, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	cmd.Stdout = out
	err = cmd.Run()
	out.Close()
	if err != nil {
		t.Error(err)
	}
	if n := len(w.stored()); n != 100_001 {
		t.Errorf("%d entries", n)
	}
}
