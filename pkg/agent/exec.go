package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Exit codes of a shell for a program that cannot be started: it is not there, or it cannot be run.
const (
	codeNotFound = 127
	codeNotRun   = 126
	codeSignal   = 128 // and the number of the signal that ended the program
)

const envTraceparent = "TRACEPARENT"

// Exec says which program is run, and how.
type Exec struct {
	// Name is the task's name. Default: the program's, without directory.
	Name string
	// Args is the program and its arguments.
	Args []string
	// Env is the program's environment as in os.Environ. DLOG_TASK in it, else TRACEPARENT, names the task that is continued; the
	// program gets values of its own for both, and DLOG_ALSO=none where that is not set: a dlog program sends its entries itself.
	Env []string
	// Dir is the program's working directory. Default: the one of this process.
	Dir string
	// Format says which lines are looked for in the output. Default Auto.
	Format Format
	// Stdin is passed on as it is. Default: nothing to read.
	Stdin io.Reader
	// Stdout and Stderr get the program's output, at once and unchanged. Default: nowhere.
	Stdout, Stderr io.Writer
	// Signals are passed on to the program, but for those of the keyboard where the terminal sends them to the program itself. Default: none.
	Signals <-chan os.Signal
	// Linger is how long, after the program's end, its output is read on when something that it started still holds it open. Default 1 s.
	Linger time.Duration
}

const (
	defaultLinger = time.Second
	maxTail       = 1 << 20 // bytes that are read after the program's end at most, if the output stays open: more than a pipe holds
)

// An ExitError says that a program did not end with exit code 0.
type ExitError struct {
	Code   int    // the exit code, or the number of the signal that ended the program
	Signal string // its name ("SIGKILL"), "" where there was none
}

// Error returns "exit code 3" or "killed by SIGKILL".
func (e *ExitError) Error() string {
	if e.Signal != "" {
		return "killed by " + e.Signal
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// A StartError says that a program could not be started.
type StartError struct {
	Program string
	Err     error
}

// Error names the program and the reason.
func (e *StartError) Error() string { return fmt.Sprintf("start %s: %v", e.Program, e.Err) }

// Unwrap gives the reason.
func (e *StartError) Unwrap() error { return e.Err }

// Exec runs the program as a task and returns its exit code, that of a shell where it was killed (128 and the signal) or could not be started
// (127 or 126). The task has failed where the code is not 0. The error is a *StartError, nil for all that the program itself did.
func (o *Outlet) Exec(e Exec) (int, error) {
	if len(e.Args) == 0 {
		return codeNotFound, &StartError{Err: errors.New("there is no program to run")}
	}
	program := filepath.Base(e.Args[0])
	if e.Name == "" {
		e.Name = program
	}
	if e.Linger <= 0 {
		e.Linger = defaultLinger
	}
	fields := []structure.Field{structure.Str("command", e.Args[0])}
	ctx, t := o.proc.Import(context.Background(), continued(e.Env), e.Name, fields...)
	token, traceparent := t.Headers(program)
	r := &run{o: o, e: e, ctx: ctx, task: t}
	err := r.start(environ(e.Env, token, traceparent))
	if err != nil {
		t.End(&err)
		return codeOf(err), err
	}
	err = r.wait()
	t.End(&err)
	return codeOf(err), nil
}

// continued returns the token of the task that the environment hands over.
func continued(env []string) string {
	if token := lookup(env, task.EnvTask); token != "" {
		return token
	}
	return lookup(env, envTraceparent)
}

// lookup returns the last value of a variable, which is the one that counts.
func lookup(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(env[i], name+"="); ok {
			return value
		}
	}
	return ""
}

const envAlso = "DLOG_ALSO"

func environ(env []string, token, traceparent string) []string {
	out := append(env[:len(env):len(env)], task.EnvTask+"="+token, envTraceparent+"="+traceparent)
	if lookup(env, envAlso) == "" {
		out = append(out, envAlso+"=none")
	}
	return out
}

// codeOf returns the exit code that stands for an error of start or wait.
func codeOf(err error) int {
	var exit *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit) && exit.Signal == "":
		return exit.Code
	case errors.As(err, &exit):
		return codeSignal + exit.Code
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return codeNotFound
	}
	return codeNotRun
}

// A run is one program while it runs.
type run struct {
	o    *Outlet
	e    Exec
	ctx  context.Context // of the task
	task *structure.Task
	cmd  *exec.Cmd
	outs [2]*output
}

// start starts the program and the goroutines that read its output.
func (r *run) start(env []string) error {
	r.cmd = exec.Command(r.e.Args[0], r.e.Args[1:]...)
	r.cmd.Env, r.cmd.Dir, r.cmd.Stdin, r.cmd.WaitDelay = env, r.e.Dir, r.e.Stdin, r.e.Linger
	var writers [2]*os.File
	for i := range r.outs {
		var err error
		if r.outs[i], writers[i], err = r.open(i); err != nil {
			r.close(writers)
			return &StartError{r.e.Args[0], err}
		}
	}
	r.cmd.Stdout, r.cmd.Stderr = writers[0], writers[1]
	err := r.cmd.Start()
	if err != nil {
		r.close(writers)
		return &StartError{r.e.Args[0], reason(err)}
	}
	for i, out := range r.outs {
		_ = writers[i].Close() // the program has its own
		go out.read()
	}
	return nil
}

// reason strips what os/exec adds: the program is named already.
func reason(err error) error {
	var notFound *exec.Error
	if errors.As(err, &notFound) {
		return notFound.Err
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// close gives up the pipes of a program that does not start.
func (r *run) close(writers [2]*os.File) {
	for i, out := range r.outs {
		if out != nil {
			_ = out.pipe.Close()
			_ = writers[i].Close()
		}
	}
}

// open makes the pipe of one of the program's outputs.
func (r *run) open(i int) (*output, *os.File, error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	shown, name := r.e.Stdout, "stdout"
	if i == 1 {
		shown, name = r.e.Stderr, "stderr"
	}
	if shown == nil {
		shown = io.Discard
	}
	return &output{pipe: reader, shown: shown, s: r.o.newStream(r.ctx, r.e.Format, name), done: make(chan struct{})}, writer, nil
}

// wait waits for the program's end, passing signals on, and for its output.
func (r *run) wait() error {
	ended := make(chan struct{})
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		for {
			select {
			case sig := <-r.e.Signals:
				if fromKeyboard(sig) && onTerminal() {
					continue // the program got it from the terminal, and would take a second one for impatience
				}
				_ = r.cmd.Process.Signal(sig) // it may have ended this moment
			case <-ended:
				return
			}
		}
	}()
	err := r.cmd.Wait()
	close(ended)
	<-passed
	r.drain()
	r.o.flushHeld()
	state := r.cmd.ProcessState
	if state == nil { // the wait itself failed
		return fmt.Errorf("wait for the program: %w", err)
	}
	r.task.Add(structure.Int("pid", state.Pid()), structure.Int("exit_code", codeOf(exitError(state))),
		structure.Int64("cpu_ms", (state.UserTime()+state.SystemTime()).Milliseconds()))
	return exitError(state)
}

// drain reads the output to its end. Something that the program left behind may hold it open, for as long as it likes: then what lies in the
// pipe is read, and the rest is not waited for.
func (r *run) drain() {
	deadline := time.Now().Add(r.e.Linger)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var after [2]int64
	for i, out := range r.outs {
		after[i] = out.taken.Load() + maxTail
	}
	left := false
	for i, out := range r.outs {
		for open := true; open; {
			select {
			case <-out.done:
				open = false
				continue
			case <-tick.C:
			}
			// A reader that waits for our own output to be taken is not cut off: the program's last words are still on their way.
			if time.Now().After(deadline) && (out.reading.Load() || out.taken.Load() > after[i]) {
				left = true
				_ = out.pipe.SetReadDeadline(time.Unix(1, 0))
				<-out.done
			}
		}
	}
	if left {
		r.o.say(fmt.Sprintf("%s has ended, but something that it started still holds its output open; what that writes is not read any more", r.e.Args[0]))
	}
}

// An output is one of the program's outputs.
type output struct {
	pipe  *os.File
	shown io.Writer
	s     *stream
	done  chan struct{}

	reading atomic.Bool  // the goroutine waits for the program
	taken   atomic.Int64 // bytes
}

// read passes the output on and makes entries of it, until its end. When nobody takes our own output any more the pipe is closed, so that the
// program meets what it would have met without us.
func (out *output) read() {
	defer close(out.done)
	defer out.pipe.Close()
	defer out.s.end()
	buf := make([]byte, readSize)
	for {
		out.reading.Store(true)
		n, err := out.pipe.Read(buf)
		out.reading.Store(false)
		out.taken.Add(int64(n))
		if n > 0 {
			_, werr := out.shown.Write(buf[:n])
			out.s.write(buf[:n])
			if werr != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
