package dlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dlog-fabric/dlog/pkg/record"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// closeTimeout is how long Close waits where the context does not say.
const closeTimeout = 5 * time.Second

// Client is an application's connection to dlog. Make it with [Open]. All methods are safe for concurrent use; those of a nil Client
// run what they are given and log nothing.
type Client struct {
	cfg   Config
	level zerolog.Level // NoLevel: not set
	tasks *structure.Process
	wire  *wire // nil with Config.Out
	beats *beats

	inside, proxies hostSet

	closing  sync.Once
	closeErr error // written by closing
}

// Task is a goal: it begins, has entries and sub-tasks, and ends with an outcome. Its methods are those of [structure.Task]: End, Export,
// Add, Link, Logger and others. The methods of a nil Task do nothing.
type Task = structure.Task

// Running is a task in a goroutine of its own, which can be waited for.
type Running = structure.Running

// Open starts logging. It needs no server: entries wait in the queue until there is one. The error says what is wrong with the configuration, all
// at once; the client is then nil, and can still be used to no effect.
func Open(cfg Config) (*Client, error) {
	env := os.Getenv
	if cfg.Out != nil {
		env = func(string) string { return "" }
	}
	c, err := open(cfg, env)
	if err != nil {
		return nil, fmt.Errorf("open dlog: %w", err)
	}
	return c, nil
}

func open(cfg Config, env lookup) (*Client, error) {
	cfg, level, err := cfg.withDefaults(env)
	rec, recErr := record.New(record.Config{Service: cfg.Service, Caller: cfg.Caller, Fields: cfg.Fields})
	inside, insideErr := parseHosts("inside", cfg.Inside)
	proxies, proxiesErr := parseHosts("proxies", cfg.Proxies)
	if err = errors.Join(err, recErr, insideErr, proxiesErr); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, level: level, inside: inside, proxies: proxies}
	out := cfg.Out
	if out == nil {
		if c.wire, err = openWire(cfg, env); err != nil {
			return nil, err
		}
		out = c.wire
	}
	var lowest *zerolog.Level
	if level != zerolog.NoLevel {
		lowest = &level
	}
	c.tasks, err = structure.New(structure.Config{
		Service: cfg.Service, Namespace: cfg.Namespace, Out: out, Base: cfg.Base, Level: lowest, Extra: rec, Also: alsoOf(cfg, level, env),
		Flush: c.Flush, TraceContext: cfg.TraceContext, Parent: parentToken(env), Stderr: cfg.Stderr,
	})
	if err != nil {
		if c.wire != nil {
			c.wire.abandon()
		}
		return nil, err
	}
	c.born(rec)
	c.beats = startBeats(c.tasks)
	return c, nil
}

// born says what all entries of the process share, and leaves it with the queue for whoever adopts that.
func (c *Client) born(rec *record.Recorder) {
	line, err := rec.Birth()
	if err != nil { // record.New has tried it
		return
	}
	written, ok := c.tasks.Event(birth, zerolog.InfoLevel, line)
	if c.wire != nil && ok {
		c.wire.setBirth(written, c.tasks)
	}
}

// Start begins a task: below the task of ctx, or an outermost one (of the parent process's task, if that handed one over). The fields
// stand on its start and end entries. The context that is returned carries the task and, for zerolog.Ctx, its logger. End it with
//
//	defer t.End(&err)
func (c *Client) Start(ctx context.Context, name string, fields ...Field) (context.Context, *Task) {
	return c.process().Start(ctx, name, fields...)
}

// Do runs fn as a task and returns its error: Start and End in one, and the only form that also sees runtime.Goexit.
func (c *Client) Do(ctx context.Context, name string, fn func(context.Context) error, fields ...Field) error {
	return c.process().Do(ctx, name, fn, fields...)
}

// Go runs fn as a task in a new goroutine. The task gets its place in the tree here, whenever the goroutine runs.
func (c *Client) Go(ctx context.Context, name string, fn func(context.Context) error, fields ...Field) *Running {
	return c.process().Go(ctx, name, fn, fields...)
}

// Import begins a task that continues the one whose Export made the token, in whatever process that was; a W3C traceparent is
// taken too. An empty token begins a new trace, and so does one that is garbage, which is kept in a field and said once.
func (c *Client) Import(ctx context.Context, token, name string, fields ...Field) (context.Context, *Task) {
	return c.process().Import(ctx, token, name, fields...)
}

// TaskFrom returns the task of the context, nil where there is none.
func TaskFrom(ctx context.Context) *Task { return structure.TaskFrom(ctx) }

// Environ returns the variables that hand the task of ctx over to a child process, for exec.Cmd.Env: DLOG_TASK and TRACEPARENT. Without a task in ctx
// it returns nil. Each child needs a call of its own.
//
//	cmd.Env = append(os.Environ(), d.Environ(ctx)...)
func (c *Client) Environ(ctx context.Context) []string {
	token, traceparent := TaskFrom(ctx).Headers("child process")
	if token == "" {
		return nil
	}
	return []string{task.EnvTask + "=" + token, envTraceparent + "=" + traceparent}
}

// Attach gives a zerolog logger that exists dlog's writer and hook. Its fields, hooks and sampler stay, and its level unless Config.Level is set.
// Entries made with logger.Info().Ctx(ctx) stand in the task of ctx, others outside of any. The name, if any, becomes their key logger.
// What the logger wrote to before gets nothing any more; see Config.Also.
func (c *Client) Attach(logger zerolog.Logger, name ...string) zerolog.Logger {
	if c == nil {
		return logger
	}
	return c.limit(c.tasks.Attach(logger, name...))
}

// Logger returns a new logger for what is said outside of tasks, or inside with Ctx(ctx). The name, if any, becomes the key logger of its entries.
func (c *Client) Logger(name ...string) zerolog.Logger {
	if c == nil {
		return zerolog.Nop()
	}
	return c.limit(c.tasks.Logger(name...))
}

// limit sets the level of a logger, where one was asked for.
func (c *Client) limit(l zerolog.Logger) zerolog.Logger {
	if c.level == zerolog.NoLevel {
		return l
	}
	return l.Level(c.level)
}

// Writer returns the writer that Attach gives to loggers, for those that are built by other means; it goes with [Client.Hook]. The name, if not
// empty, becomes the key logger of the entries.
func (c *Client) Writer(name string) zerolog.LevelWriter { return c.process().Writer(name) }

// Hook returns the hook that Attach gives to loggers. It does nothing useful without the writer, and says so.
func (c *Client) Hook() zerolog.Hook { return c.process().Hook() }

// Config returns the configuration in force: what Open was given, with the environment's and the default values. Credentials are paths, never secrets, but
// for a password in URL.
func (c *Client) Config() Config {
	if c == nil {
		return Config{}
	}
	return c.cfg
}

// Tasks returns the part that makes tasks, for adapters to other packages.
func (c *Client) Tasks() *structure.Process { return c.process() }

func (c *Client) process() *structure.Process {
	if c == nil {
		return nil
	}
	return c.tasks
}

// Flush waits until everything that was logged before is stored by the server, or until ctx ends; the error then says how many entries
// still wait. For programs that live shortly, Close is enough.
func (c *Client) Flush(ctx context.Context) error {
	if c == nil || c.wire == nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	return c.wire.flush(ctx)
}

// Close says that the process ends, sends what waits until ctx ends (5 s where ctx has no deadline) and stops. If entries stay behind, stderr and
// the error say how many and where. Later calls return the same; entries logged later are refused and counted.
func (c *Client) Close(ctx context.Context) error {
	if c == nil {
		return nil
	}
	c.closing.Do(func() { c.closeErr = c.close(ctx) })
	return c.closeErr
}

func (c *Client) close(ctx context.Context) error {
	c.beats.stop()
	c.tasks.Event(death, zerolog.InfoLevel, c.status("death"))
	if c.wire == nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, closeTimeout)
		defer cancel()
	}
	if err := c.wire.close(ctx); err != nil {
		say(c.cfg, "%v", err) // Close is usually deferred, and its error lost
		return fmt.Errorf("close dlog: %w", err)
	}
	return nil
}
