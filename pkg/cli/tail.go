package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/view"
)

type tailFlags struct {
	source sourceFlags
	cond   conditions
	out    output
	trace  string
}

func tailCommand(env Env) *cobra.Command {
	var f tailFlags
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Show entries as they arrive, joined to the past without a gap",
		Long: `tail shows entries as they arrive until it is stopped. With --since it begins in the past and goes on into the present
without a gap and without a repetition. A connection that was lost goes on where it was.`,
		Example: `  dlog-sink tail
  dlog-sink tail --where 'level>=warn' --where service=payments
  dlog-sink tail --since 10m --trace 0193e1a2
  dlog-sink tail --stream payments --format json | jq .message`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	f.source.addFlags(cmd, env)
	f.cond.addFlag(cmd, "only entries that fulfil this")
	f.out.addFlag(cmd, "pretty", "json")
	cmd.Flags().StringVar(&f.trace, "trace", "", "only entries of the trace that begins with this `ID`")
	return cmd
}

func (f *tailFlags) run(ctx context.Context, env Env) (err error) {
	now := time.Now()
	src, err := f.source.openChecked(env, now, f.cond.check(), f.out.check())
	if err != nil {
		return err
	}
	defer closeSource(src, &err)
	if n, ok := src.(*natsSource); ok {
		n.announce()
	}
	out := bufio.NewWriter(env.Stdout)
	p := newLinePrinter(out, f.out.json(), viewOptions(env, now))
	keys := newTraceKeys()
	prefix := []byte(strings.ToLower(f.trace))
	w := window{since: f.source.sinceTime, follow: true, fresh: f.source.sinceTime.IsZero()}
	err = src.read(ctx, w, func(it item) error {
		if !f.cond.match(it) || (len(prefix) > 0 && !bytes.HasPrefix(keys.of(it.line), prefix)) {
			return nil
		}
		if err := p.print(it); err != nil {
			return err
		}
		return out.Flush()
	})
	if ctx.Err() != nil { // a tail ends when it is told to: that is a clean stop
		return out.Flush()
	}
	return err
}

// announce says on standard error when the connection is lost and when it is back: a tail that is silent must not look alive.
func (n *natsSource) announce() {
	n.nc.SetDisconnectErrHandler(func(nc *nats.Conn, _ error) {
		if !nc.IsClosed() {
			fmt.Fprintf(n.env.Stderr, "dlog-sink: connection to %s lost; trying again\n", n.url)
		}
	})
	n.nc.SetReconnectHandler(func(*nats.Conn) {
		fmt.Fprintf(n.env.Stderr, "dlog-sink: connected to %s again\n", n.url)
	})
}

// linePrinter prints entries one line each, raw or for people.
type linePrinter struct {
	out  io.Writer
	json bool
	opts view.Options
	buf  []byte
}

func newLinePrinter(out io.Writer, json bool, opts view.Options) *linePrinter {
	return &linePrinter{out: out, json: json, opts: opts}
}

func (p *linePrinter) print(it item) error {
	p.buf = p.buf[:0]
	if p.json {
		p.buf = append(p.buf, it.line...)
	} else {
		e, err := parseEntry(it.line)
		if err != nil {
			e = entry.Entry{Level: entry.None, Message: string(it.line), Time: it.at} // a dead letter may hold anything
		}
		if e.Time.IsZero() {
			e.Time = it.at
		}
		p.buf = view.Line(p.buf, &e, it.subj.Service(), p.opts)
	}
	if n := len(p.buf); n == 0 || p.buf[n-1] != '\n' {
		p.buf = append(p.buf, '\n')
	}
	_, err := p.out.Write(p.buf)
	return err
}

func isStop(err error) bool { return errors.Is(err, stream.ErrStop) }
