package structure

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// errNoFunction is what Do and Go return for a nil function.
var errNoFunction = errors.New("run task: there is no function to run")

// Do runs fn as a task and returns its error. Unlike a deferred End it also sees a goroutine that is ended by runtime.Goexit, as t.FailNow of
// the testing package does: the task has failed then.
func (p *Process) Do(ctx context.Context, name string, fn func(context.Context) error, fields ...Field) error {
	ctx, t := p.Start(ctx, name, fields...)
	return t.run(ctx, fn)
}

// DoImport is Do for a task that continues another one, as [Process.Import] does.
func (p *Process) DoImport(ctx context.Context, token, name string, fn func(context.Context) error, fields ...Field) error {
	ctx, t := p.Import(ctx, token, name, fields...)
	return t.run(ctx, fn)
}

// run calls fn in the task and ends it. A nil task runs fn all the same.
func (t *Task) run(ctx context.Context, fn func(context.Context) error) (err error) {
	if fn == nil {
		err = errNoFunction
		t.End(&err)
		return err
	}
	if t == nil {
		return fn(ctx)
	}
	returned := false
	defer func() {
		if returned {
			t.finish(t.verdict(err))
			return
		}
		if v := recover(); v != nil {
			t.finish(panicked(v, debug.Stack()))
			panic(v)
		}
		t.finish(verdict{outcome: task.Failed, typ: "runtime.Goexit", text: "the goroutine was ended by runtime.Goexit"})
	}()
	err = fn(ctx)
	returned = true
	return err
}

// Running is a task that runs in a goroutine of its own.
type Running struct {
	done chan struct{}
	err  error // written before done is closed
}

// Wait waits for the task to end and returns its error.
func (r *Running) Wait() error {
	if r == nil {
		return nil
	}
	<-r.done
	return r.err
}

// Done is closed when the task has ended.
func (r *Running) Done() <-chan struct{} { return r.done }

// Go runs fn as a task in a new goroutine. The task's number is taken here, so the order of the tree is the order of the calls, whatever the scheduler
// does. A panic in fn ends the program, as in any goroutine; what was logged is flushed before. The caller waits with Wait where it matters.
func (p *Process) Go(ctx context.Context, name string, fn func(context.Context) error, fields ...Field) *Running {
	ctx, t := p.Start(ctx, name, fields...)
	r := &Running{done: make(chan struct{})}
	go func() {
		defer close(r.done)
		defer p.flushOnPanic()
		r.err = errGoexit
		r.err = t.run(ctx, fn)
	}()
	return r
}

// errGoexit is the error of a task whose goroutine was ended by runtime.Goexit.
var errGoexit = errors.New("run task: the goroutine was ended by runtime.Goexit")

// flushOnPanic is deferred where nobody above recovers.
func (p *Process) flushOnPanic() {
	if p == nil {
		return
	}
	if v := recover(); v != nil {
		p.flush()
		panic(v)
	}
}
