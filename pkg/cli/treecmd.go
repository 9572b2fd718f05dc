package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/tree"
	"github.com/dlog-fabric/dlog/pkg/view"
)

type treeFlags struct {
	source sourceFlags
	out    output
	all    bool
	depth  int
	errors bool
}

func treeCommand(env Env) *cobra.Command {
	var f treeFlags
	cmd := &cobra.Command{
		Use:   "tree ID",
		Short: "Show the whole story of one task, over all processes",
		Long: `tree shows the tasks of one trace with their entries in place. ID is the trace id or any unambiguous beginning of it.

What failed stands open, what succeeded is folded where it is long; --all opens everything. Numbers that are absent are shown
where they belong, with the reason.`,
		Example: `  dlog-sink tree 0193e1a2
  dlog-sink tree 0193e1a2 --all
  dlog-sink tree 0193e1a2 --format json
  dlog-sink tree 0193e1a2 --file checkout.log --file payments.log`,
		Args: exactArgs(1, "a trace id or the beginning of one"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd.Context(), env, args[0]) },
	}
	f.source.addFlags(cmd, env)
	f.source.addPastFlags(cmd)
	f.out.addFlag(cmd, "text", "json")
	cmd.Flags().BoolVar(&f.all, "all", false, "open every task and show every entry")
	cmd.Flags().IntVar(&f.depth, "depth", 0, "open at most `N` levels (0: no limit)")
	cmd.Flags().BoolVar(&f.errors, "errors", false, "open only what leads to a failure, and show only entries of level error and above")
	return cmd
}

func (f *treeFlags) run(ctx context.Context, env Env, id string) error {
	now := time.Now()
	prefix := strings.ToLower(strings.ReplaceAll(id, "-", ""))
	if prefix == "" || len(prefix) > 32 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return usagef("trace %q: want up to 32 hex digits, as \"dlog-sink tasks\" prints them", id)
	}
	if err := firstError(f.source.check(now), f.out.check()); err != nil {
		return err
	}
	src, err := f.source.open(env)
	if err != nil {
		return err
	}
	defer src.close()
	roots, err := f.find(ctx, src, prefix, now)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(env.Stdout)
	for i, t := range roots {
		switch {
		case f.out.json():
			err = tree.WriteTree(out, t)
		default:
			if i > 0 {
				_, err = out.WriteString("\n")
			}
			if err == nil {
				err = view.Tree(out, t, view.TreeOptions{Options: viewOptions(env, now), All: f.all, Depth: f.depth, Errors: f.errors})
			}
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// find looks first where the trace id says that the task began, and through everything when it is not there: an id from
// elsewhere tells no time, and clocks differ.
func (f *treeFlags) find(ctx context.Context, src source, prefix string, now time.Time) ([]*tree.Task, error) {
	begin, known := traceStart(prefix)
	explicit := !f.source.sinceTime.IsZero() || len(f.source.files) > 0
	if known && !explicit {
		roots, err := f.read(ctx, src, prefix, begin.Add(-clockSlack), now)
		if !errors.Is(err, tree.ErrNotFound) {
			return roots, err
		}
	}
	roots, err := f.read(ctx, src, prefix, f.source.sinceTime, now)
	if err != nil && ctx.Err() == nil && errors.Is(err, tree.ErrNotFound) {
		return nil, findError(err, prefix, &f.source)
	}
	return roots, err
}

func (f *treeFlags) read(ctx context.Context, src source, prefix string, since, now time.Time) ([]*tree.Task, error) {
	cfg := tree.Config{Now: func() time.Time { return now }, Part: f.source.partial(), DropLoose: true}
	keys := newTraceKeys()
	want := []byte(prefix)
	forest, err := gather(ctx, src, window{since: since, until: f.source.untilTime}, cfg, func(it item) bool {
		id := keys.of(it.line)
		return bytes.HasPrefix(id, want) || (id == nil && it.subj.Level == subject.TaskLevel)
	})
	if err != nil {
		return nil, err
	}
	roots, err := forest.Find(prefix)
	var many *tree.AmbiguousError
	if errors.As(err, &many) {
		return nil, usage(err)
	}
	return roots, err
}
