//go:build unix

package agent

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/agent"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// ran is what came of a program.
type ran struct {
	code        int
	err         error
	out, errOut string
	said        string
	root        *tree.Task
}

// exec runs a program in a world of its own and returns the tree.
func execute(t *testing.T, e agent.Exec) ran {
	t.Helper()
	w := newWorld(t)
	return w.execute(e)
}

func (w *world) execute(e agent.Exec) ran {
	w.t.Helper()
	o, said := w.open(agent.Config{Service: "exec"})
	var out, errOut bytes.Buffer
	if e.Stdout == nil {
		e.Stdout = &out
	}
	if e.Stderr == nil {
		e.Stderr = &errOut
	}
	if e.Env == nil {
		e.Env = environ()
	}
	r := ran{}
	r.code, r.err = o.Exec(e)
	w.done(o)
	r.out, r.errOut, r.said, r.root = out.String(), errOut.String(), said.String(), w.root()
	return r
}

// environ is this process's environment without tasks.
func environ(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "DLOG_") || strings.HasPrefix(s, "TRACEPARENT=")
	})
	return append(env, more...)
}

func shell(script string) []string { return []string{"sh", "-c", script} }

// messages are the entries of a task, without its frame: stream, level, message.
func messages(tk *tree.Task) []string {
	var all []string
	for _, it := range tk.Items {
		if it.Entry == nil || it.Entry.Meta.Event != "" {
			continue
		}
		v, _ := it.Entry.Field("stream")
		all = append(all, string(v.Text(nil))+" "+it.Entry.Level.String()+" "+it.Entry.Message)
	}
	return all
}

func TestExecOutcome(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := func(args []string, code int, outcome task.Outcome, text string) {
		t.Helper()
		r := execute(t, agent.Exec{Args: args, Name: "try"})
		if r.code != code || r.root.Outcome != outcome || r.root.Error != text || r.root.Path != "try" {
			t.Errorf("%q: code %d, %s %s %q", args, r.code, r.root.Path, r.root.Outcome, r.root.Error)
		}
		var start *agent.StartError
		if started := code != 126 && code != 127; errors.As(r.err, &start) == started {
			t.Errorf("%q: error %v", args, r.err)
		}
	}
	f(shell("exit 0"), 0, task.Succeeded, "")
	f(shell("exit 3"), 3, task.Failed, "exit code 3")
	f(shell("kill -9 $$"), 137, task.Failed, "killed by SIGKILL")
	f(shell("kill -TERM $$"), 143, task.Failed, "killed by SIGTERM")
	f([]string{"no-such-program"}, 127, task.Failed, "start no-such-program: executable file not found in $PATH")
	f([]string{filepath.Join(dir, "none")}, 127, task.Failed, "start "+filepath.Join(dir, "none")+": no such file or directory")
	f([]string{plain}, 126, task.Failed, "start "+plain+": permission denied")
	f([]string{dir}, 126, task.Failed, "start "+dir+": permission denied")
}

func TestExecOutput(t *testing.T) {
	script := `printf 'one\n'; printf '{"level":30,"msg":"two","time":1795375541830}\n'; printf 'half'; printf '\377\000\n' ; exec 1>&-; printf 'ERROR three\nat the end' >&2`
	r := execute(t, agent.Exec{Args: shell(script)})
	if want := "one\n{\"level\":30,\"msg\":\"two\",\"time\":1795375541830}\nhalf\xff\x00\n"; r.out != want {
		t.Errorf("stdout %q", r.out)
	}
	if r.errOut != "ERROR three\nat the end" || r.said != "" {
		t.Errorf("stderr %q, said %q", r.errOut, r.said)
	}
	got := messages(r.root)
	slices.Sort(got)
	want := []string{"stderr error three", "stderr none at the end", "stdout info two", "stdout none half\ufffd\x00", "stdout none one"}
	if !slices.Equal(got, want) {
		t.Errorf("entries %q", got)
	}
	if v, _ := r.root.End.Field("exit_code"); string(v.Raw) != "0" {
		t.Errorf("exit code %s", v.Raw)
	}
}

func TestExecStdin(t *testing.T) {
	if r := execute(t, agent.Exec{Args: []string{"cat"}, Stdin: strings.NewReader("in\nand out\n")}); r.out != "in\nand out\n" || r.code != 0 {
		t.Errorf("code %d, stdout %q", r.code, r.out)
	}
}

func TestExecPassesSignalsOn(t *testing.T) {
	signals := make(chan os.Signal, 1)
	out := &onText{want: "ready", do: func() { signals <- syscall.SIGTERM }}
	r := execute(t, agent.Exec{
		Args: shell(`trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.05; done`), Signals: signals, Stdout: out,
	})
	if r.code != 7 || !slices.Equal(messages(r.root), []string{"stdout none ready", "stdout none told"}) {
		t.Errorf("code %d, %q", r.code, messages(r.root))
	}
}

// onText calls do once the text was written.
type onText struct {
	want string
	do   func()
	all  string
}

func (o *onText) Write(p []byte) (int, error) {
	o.all += string(p)
	if o.do != nil && strings.Contains(o.all, o.want) {
		o.do()
		o.do = nil
	}
	return len(p), nil
}

// TestExecLeftBehind does not wait for what a program leaves behind, quiet or loud.
func TestExecLeftBehind(t *testing.T) {
	r := execute(t, agent.Exec{Args: shell(`sleep 300 & echo $!`), Linger: 50 * time.Millisecond})
	pid, err := strconv.Atoi(strings.TrimSpace(r.out))
	if err != nil {
		t.Fatalf("stdout %q", r.out)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	if r.code != 0 || !strings.Contains(r.said, "still holds its output open") {
		t.Errorf("code %d, said %q", r.code, r.said)
	}
	r = execute(t, agent.Exec{Args: shell(`while :; do echo loud; done & echo quiet >&2`), Linger: 50 * time.Millisecond, Stdout: io.Discard})
	if r.code != 0 || r.root.Outcome != task.Succeeded { // the loop meets a broken pipe and ends
		t.Errorf("code %d", r.code)
	}
}

// TestExecReaderGone lets the program meet the broken pipe that it would meet alone.
func TestExecReaderGone(t *testing.T) {
	r := execute(t, agent.Exec{Args: []string{"yes"}, Stdout: errWriter{syscall.EPIPE}})
	if r.code != 128+int(syscall.SIGPIPE) || r.root.Error != "killed by SIGPIPE" {
		t.Errorf("code %d, %q", r.code, r.root.Error)
	}
}

// TestExecFlood stores every line of a flood while the server stores what it gets.
func TestExecFlood(t *testing.T) {
	const n = 200_000
	r := execute(t, agent.Exec{Args: shell("yes | head -n " + strconv.Itoa(n)), Stdout: io.Discard})
	if r.code != 0 || r.root.Entries != n+3 { // with start, export and end
		t.Errorf("code %d, %d entries of %d", r.code, r.root.Entries, n)
	}
}

// TestExecNested gives one complete tree of exec, exec within it, and a program that logs with dlog.
func TestExecNested(t *testing.T) {
	f := func(arg string, code int, outcome task.Outcome) {
		t.Helper()
		w := newWorld(t)
		outer, _ := w.open(agent.Config{Service: "one"})
		var env []string
		if _, err := outer.Exec(agent.Exec{Name: "release", Args: []string{"env"}, Env: environ(), Stdout: writer(func(p []byte) {
			for line := range strings.Lines(string(p)) {
				env = append(env, strings.TrimSpace(line))
			}
		})}); err != nil {
			t.Fatal(err)
		}
		w.done(outer)
		inner, _ := w.open(agent.Config{Service: "two"})
		got, err := inner.Exec(agent.Exec{Name: "deploy", Args: []string{os.Args[0], arg}, Env: append(env, childEnv+"=1", "DLOG_URL="+w.url, "DLOG_SPOOL=memory")})
		w.done(inner)
		if err != nil || got != code {
			t.Fatalf("code %d, %v", got, err)
		}
		root := w.root()
		var shape []string
		root.Walk(func(tk *tree.Task) bool {
			shape = append(shape, tk.Service+":"+tk.Path+" "+string(tk.Outcome))
			return true
		})
		want := []string{
			"one:release succeeded", "two:release/deploy " + string(outcome),
			"child:release/deploy/outer " + string(outcome), "child:release/deploy/outer/inner " + string(outcome),
		}
		if !slices.Equal(shape, want) {
			t.Errorf("tree %q", shape)
		}
		if outcome == task.Failed {
			if c := root.Cause(); c == nil || c.Error != "card declined" {
				t.Errorf("cause %+v", c)
			}
		}
	}
	f("well", 0, task.Succeeded)
	f("fail", 1, task.Failed)
}

type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// TestExecContinuesTraceparent stands below a stranger's span.
func TestExecContinuesTraceparent(t *testing.T) {
	r := execute(t, agent.Exec{
		Args: shell(`echo $TRACEPARENT $DLOG_ALSO`), Name: "below",
		Env: environ("TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
	})
	if r.root.Trace != "0af7651916cd43dd8448eb211c80319c" || !strings.HasPrefix(string(r.root.Pos), "xb7ad6b7169203331~") {
		t.Errorf("task at %s %s", r.root.Trace, r.root.Pos)
	}
	if !strings.HasPrefix(r.out, "00-0af7651916cd43dd8448eb211c80319c-") || strings.Contains(r.out, "b7ad6b7169203331") || !strings.HasSuffix(r.out, " none\n") {
		t.Errorf("environment %q", r.out)
	}
}

// TestExecWithoutServer returns the program's exit code all the same.
func TestExecWithoutServer(t *testing.T) {
	w := &world{t: t, url: "nats://127.0.0.1:1"}
	o, _ := w.open(agent.Config{Service: "alone"})
	code, err := o.Exec(agent.Exec{Args: shell("echo x; exit 5"), Env: environ()})
	if code != 5 || err != nil {
		t.Errorf("code %d, %v", code, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := o.Close(ctx); err == nil || !strings.Contains(err.Error(), "6 entries were not sent") {
		t.Errorf("close: %v", err)
	}
}
