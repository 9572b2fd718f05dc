package cli

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/tree"
	"github.com/dlog-fabric/dlog/pkg/view"
)

type gapsFlags struct {
	source sourceFlags
	out    output
}

func gapsCommand(env Env) *cobra.Command {
	var f gapsFlags
	cmd := &cobra.Command{
		Use:   "gaps [ID]",
		Short: "List the entries that are absent, and why",
		Long: `gaps lists every position in the trees at which an entry should stand and none does, with the reason: withheld (by a rule),
elsewhere (not sent to this stream), died (with its process), expired (removed by the stream's limits), missing, or no-end (the
task has not ended, and nothing shows whether its process lives).

With ID, the trace id or any unambiguous beginning of it, of that trace; without, of all traces of which a task began, ended
or was handed over in the window. These are read whole, so that the edges of the window make no gaps. What is still on its way
counts as absent until it arrives. From a stream it looks back ` + tasksSince + ` unless --since says otherwise; from files it reads all.`,
		Example: `  dlog-sink gaps --since 1h
  dlog-sink gaps 0193e1a2
  dlog-sink gaps --file *.log --format json | jq -r .reason | sort | uniq -c`,
		RunE: func(cmd *cobra.Command, args []string) error {
			args = f.source.takeFiles(args)
			if len(args) > 1 {
				return exactArgs(1, "one trace id or none")(cmd, args)
			}
			if len(args) == 1 {
				return f.run(cmd.Context(), env, args[0])
			}
			return f.run(cmd.Context(), env, "")
		},
	}
	f.source.addFlags(cmd, env)
	f.source.addPastFlags(cmd)
	f.out.addFlag(cmd, "text", "json")
	return cmd
}

func (f *gapsFlags) run(ctx context.Context, env Env, id string) (err error) {
	now := time.Now()
	if id == "" && f.source.since == "" && f.source.asksRouter() {
		f.source.since = tasksSince
	}
	if err := firstError(f.source.check(now), f.out.check()); err != nil {
		return err
	}
	find := f.all
	if id != "" {
		prefix, err := tracePrefix(id)
		if err != nil {
			return err
		}
		find = func(ctx context.Context, src source, now time.Time) ([]*tree.Task, error) {
			return f.source.findTrace(ctx, src, prefix, now)
		}
	}
	src, err := f.source.open(env)
	if err != nil {
		return err
	}
	defer closeSource(src, &err)
	roots, err := find(ctx, src, now)
	if err != nil {
		return err
	}
	return f.print(env, roots, now)
}

// all returns the outermost tasks of all traces in the window, whole.
func (f *gapsFlags) all(ctx context.Context, src source, now time.Time) ([]*tree.Task, error) {
	cfg := f.source.treeConfig(ctx, src, now)
	inWindow := window{since: f.source.sinceTime, until: f.source.untilTime}
	if len(f.source.files) > 0 {
		forest, err := gather(ctx, src, window{}, cfg, func(item) bool { return true })
		if err != nil {
			return nil, err
		}
		return inTime(forest.Roots(), inWindow), nil
	}
	frames := inWindow
	frames.frames = true
	forest, err := gather(ctx, src, frames, cfg, func(item) bool { return true })
	if err != nil {
		return nil, err
	}
	traces, begin := f.traces(forest.Roots())
	if len(traces) == 0 {
		return nil, nil
	}
	keys := newTraceKeys()
	forest, err = gather(ctx, src, window{since: begin, traces: slices.Sorted(maps.Keys(traces))}, cfg, func(it item) bool {
		id := keys.of(it.line)
		return traces[string(id)] || (id == nil && it.subj.Level == subject.TaskLevel)
	})
	if err != nil {
		return nil, err
	}
	return forest.Roots(), nil
}

// traces returns the ids of the trees and the earliest time at which an entry of one can have been stored: the zero time where
// one does not tell.
func (f *gapsFlags) traces(roots []*tree.Task) (map[string]bool, time.Time) {
	ids := map[string]bool{}
	begin := f.source.sinceTime
	for _, t := range roots {
		ids[t.Trace] = true
		at, ok := traceStart(t.Trace)
		if !ok {
			at = t.Started
		}
		if at.Before(begin) {
			begin = at
		}
	}
	if !begin.IsZero() {
		begin = begin.Add(-clockSlack)
	}
	return ids, begin
}

// inTime keeps the trees of which an entry lies in the window.
func inTime(roots []*tree.Task, w window) []*tree.Task {
	return slices.DeleteFunc(roots, func(root *tree.Task) bool {
		found := false
		root.Walk(func(t *tree.Task) bool {
			found = found || slices.ContainsFunc(t.Items, func(i tree.Item) bool { return i.Entry != nil && w.holds(i.Entry.Time) })
			return !found
		})
		return !found
	})
}

func (f *gapsFlags) print(env Env, roots []*tree.Task, now time.Time) error {
	out := bufio.NewWriter(env.Stdout)
	if f.out.json() {
		for _, t := range roots {
			if err := tree.WriteGaps(out, t); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	if err := view.Gaps(out, roots, viewOptions(env, now)); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(env.Stderr, "dlog-sink: %s%s\n", gapsTotal(roots), f.source.windowText())
	return nil
}

// gapsTotal says how much is absent of how much.
func gapsTotal(roots []*tree.Task) string {
	entries, absent := 0, uint64(0)
	for _, root := range roots {
		entries += root.Entries
		root.Walk(func(t *tree.Task) bool {
			for _, m := range t.Missing {
				absent += m.Count()
			}
			return true
		})
	}
	switch {
	case len(roots) == 0:
		return "no tasks"
	case absent == 0:
		return fmt.Sprintf("nothing is absent beside %d entries in %d trees", entries, len(roots))
	}
	return fmt.Sprintf("%d absent beside %d entries in %d trees", absent, entries, len(roots))
}
