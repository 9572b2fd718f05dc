// Package console is the kind of sink that shows entries on the terminal, or writes them to standard output for another program.
//
// What is written is committed: the bytes were taken by the terminal or the pipe. The position is kept by the consumer's acks
// alone, which follow at once, so an entry comes twice where the program dies between the two: at least once, never less.
package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/view"
)

// Config is the console's part of a [[sink]] table.
type Config struct {
	// To is "stdout" (the default) or "stderr".
	To string `toml:"to"`
	// Format is "pretty" for people, "json" for programs, or "auto" (the default): pretty on a terminal.
	Format string `toml:"format"`
}

// New is a sink.NewKind.
func New() sink.Settings { return &Config{To: "stdout", Format: "auto"} }

// Validate reports what is wrong with the settings.
func (c *Config) Validate() error {
	var errs []error
	if c.To != "stdout" && c.To != "stderr" {
		errs = append(errs, fmt.Errorf(`to %q: write "stdout" or "stderr"`, c.To))
	}
	if c.Format != "pretty" && c.Format != "json" && c.Format != "auto" {
		errs = append(errs, fmt.Errorf(`format %q: write "pretty", "json" or "auto"`, c.Format))
	}
	return errors.Join(errs...)
}

// Kind makes the console. Colours and "auto" depend on whether the stream of env is a terminal.
func (c *Config) Kind(env sink.Env) (sink.Kind, error) {
	out := env.Stdout
	if c.To == "stderr" {
		out = env.Stderr
	}
	if out == nil {
		return nil, fmt.Errorf("console: no %s", c.To)
	}
	k := &console{out: out}
	if f, ok := out.(*os.File); ok {
		k.options.Color = view.UseColor(f, os.Getenv)
		k.options.Width = view.TerminalWidth(f)
		k.pretty = k.options.Width > 0 || k.options.Color
	}
	if c.Format != "auto" {
		k.pretty = c.Format == "pretty"
	}
	return k, nil
}

// console belongs to one runner at a time.
type console struct {
	out     io.Writer
	pretty  bool
	options view.Options
	buf     bytes.Buffer
}

// Open has nothing to open.
func (k *console) Open(context.Context) (sink.Committed, error) {
	return sink.Committed{Unknown: true}, nil
}

// Commit writes all entries at once.
func (k *console) Commit(_ context.Context, b sink.Batch) error {
	k.buf.Reset()
	for i := range b.Entries {
		k.append(&b.Entries[i])
	}
	if k.buf.Len() == 0 {
		return nil
	}
	if _, err := k.out.Write(k.buf.Bytes()); err != nil {
		return fmt.Errorf("write to the console: %w", err)
	}
	return nil
}

// append writes one entry into the buffer. A line that is shown in no other way is shown as it is, but for what could harm a
// terminal.
func (k *console) append(e *sink.Entry) {
	line := e.Line
	if k.pretty {
		line = k.render(e)
	}
	k.buf.Write(line)
	if !bytes.HasSuffix(line, []byte("\n")) {
		k.buf.WriteByte('\n')
	}
}

func (k *console) render(e *sink.Entry) []byte {
	parsed, err := entry.Parse(e.Line)
	if err != nil {
		return view.Escape(k.buf.AvailableBuffer(), string(e.Line))
	}
	service := ""
	if s, err := subject.Parse(e.Subject); err == nil {
		service = s.Service()
	}
	return view.Line(k.buf.AvailableBuffer(), &parsed, service, k.options)
}

// Close has nothing to close: the stream is the program's.
func (k *console) Close() error { return nil }
