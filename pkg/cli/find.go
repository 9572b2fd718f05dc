package cli

import (
	"bufio"
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/stream"
)

type findFlags struct {
	source sourceFlags
	cond   conditions
	out    output
	limit  int
}

func findCommand(env Env) *cobra.Command {
	var f findFlags
	cmd := &cobra.Command{
		Use:   "find",
		Short: "Show the entries that fulfil conditions, in the order in which they were stored",
		Example: `  dlog-sink find --where 'level>=warn' --since 1h
  dlog-sink find --where service=payments --where 'message~declined' --since 14:30 --until 15:00
  dlog-sink find --where user.id=4711 --file app.log --format json
  dlog-sink find --stream dead --since 1d`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	f.source.addFlags(cmd, env)
	f.source.addPastFlags(cmd)
	f.cond.addFlag(cmd, "only entries that fulfil this")
	f.out.addFlag(cmd, "text", "json")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "stop after `N` entries")
	return cmd
}

func (f *findFlags) run(ctx context.Context, env Env) (err error) {
	now := time.Now()
	f.source.live = true
	src, err := f.source.openChecked(env, now, f.cond.check(), f.out.check(), checkLimit(f.limit))
	if err != nil {
		return err
	}
	defer closeSource(src, &err)
	out := bufio.NewWriter(env.Stdout)
	p := newLinePrinter(out, f.out.json(), viewOptions(env, now))
	found := 0
	err = src.read(ctx, window{since: f.source.sinceTime, until: f.source.untilTime, where: f.cond.hint()}, func(it item) error {
		if !f.cond.match(it) {
			return nil
		}
		if err := p.print(it); err != nil {
			return err
		}
		if found++; found == f.limit {
			return stream.ErrStop
		}
		return nil
	})
	if err != nil && !isStop(err) {
		return err
	}
	if found == 0 && !f.out.json() {
		fmt.Fprintf(env.Stderr, "dlog-sink: no such entries%s\n", f.source.windowText())
	}
	return out.Flush()
}
