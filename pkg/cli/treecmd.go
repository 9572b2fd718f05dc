package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
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
	by     string
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

What failed stands open, what succeeded is folded where it is long, and a line does not repeat what the lines around it say;
--all shows everything. Numbers that are absent are shown where they belong, with the reason.

With --by FIELD the ID is a value of that field, or the unambiguous beginning of one, as programs without tasks log it: their
entries are put together by service and time, and outcomes are guessed from levels and marked so. Trees in which the value
occurs stand among them whole. From a stream --by looks back ` + tasksSince + ` unless --since says otherwise.`,
		Example: `  dlog-sink tree 0193e1a2
  dlog-sink tree 0193e1a2 --all
  dlog-sink tree 0193e1a2 --format json
  dlog-sink tree 0193e1a2 --file checkout.log --file payments.log
  dlog-sink tree --by request_id 7f3a --file *.log
  dlog-sink tree --by http.request.id 7f3a --since 2h`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				args = f.source.takeFiles(args)
			}
			if err := exactArgs(1, "a trace id or the beginning of one")(cmd, args); err != nil {
				return err
			}
			if f.by != "" {
				return f.runBy(cmd.Context(), env, args[0])
			}
			return f.run(cmd.Context(), env, args[0])
		},
	}
	f.source.addFlags(cmd, env)
	f.source.addPastFlags(cmd)
	f.out.addFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&f.by, "by", "", "put entries together that have the value ID in this `FIELD` (dotted into objects)")
	cmd.Flags().BoolVar(&f.all, "all", false, "open every task and show every entry and every field")
	cmd.Flags().IntVar(&f.depth, "depth", 0, "open at most `N` levels (0: no limit)")
	cmd.Flags().BoolVar(&f.errors, "errors", false, "open only what leads to a failure, and show only entries of level error and above")
	return cmd
}

// takeFiles moves those arguments that are files to the files, if there are any: a shell makes several words of "--file *.log",
// of which the flag takes the first only.
func (s *sourceFlags) takeFiles(args []string) []string {
	if len(s.files) == 0 {
		return args
	}
	var rest []string
	for _, arg := range args {
		if st, err := os.Stat(arg); err == nil && !st.IsDir() {
			s.files = append(s.files, arg)
		} else {
			rest = append(rest, arg)
		}
	}
	return rest
}

// tracePrefix reads a trace id or the beginning of one.
func tracePrefix(id string) (string, error) {
	prefix := strings.ToLower(strings.ReplaceAll(id, "-", ""))
	if prefix == "" || len(prefix) > 32 || strings.Trim(prefix, "0123456789abcdef") != "" {
		return "", usagef("trace %q: want up to 32 hex digits, as \"dlog-sink tasks\" prints them", id)
	}
	return prefix, nil
}

func (f *treeFlags) run(ctx context.Context, env Env, id string) (err error) {
	now := time.Now()
	prefix, err := tracePrefix(id)
	if err := firstError(err, f.source.check(now), f.out.check()); err != nil {
		return err
	}
	src, err := f.source.open(env)
	if err != nil {
		return err
	}
	defer closeSource(src, &err)
	roots, err := f.source.findTrace(ctx, src, prefix, now)
	if err != nil {
		return err
	}
	return f.print(env, roots, now)
}

func (f *treeFlags) print(env Env, roots []*tree.Task, now time.Time) error {
	out := bufio.NewWriter(env.Stdout)
	opts := view.TreeOptions{Options: viewOptions(env, now), All: f.all, Depth: f.depth, Errors: f.errors}
	for i, t := range roots {
		var err error
		switch {
		case f.out.json():
			err = tree.WriteTree(out, t)
		default:
			if i > 0 {
				_, err = out.WriteString("\n")
			}
			if err == nil {
				err = view.Tree(out, t, opts)
			}
		}
		if err != nil {
			return err
		}
	}
	return out.Flush()
}

// findTrace returns the outermost tasks of the one trace that begins with prefix. It looks first where the id says that the
// task began, so that --since tells where to look and never cuts a tree in two; and through everything when it is not
// there: an id from elsewhere tells no time, and clocks differ.
func (s *sourceFlags) findTrace(ctx context.Context, src source, prefix string, now time.Time) ([]*tree.Task, error) {
	since := s.sinceTime
	begin, known := traceStart(prefix)
	begin = begin.Add(-clockSlack)
	switch {
	case len(s.files) > 0:
		since = time.Time{} // a file is read whole in any case
	case known && since.IsZero():
		roots, err := s.readTrace(ctx, src, prefix, begin, now)
		if !errors.Is(err, tree.ErrNotFound) {
			return roots, err
		}
	case known && begin.Before(since):
		since = begin
	}
	roots, err := s.readTrace(ctx, src, prefix, since, now)
	if err != nil && ctx.Err() == nil && errors.Is(err, tree.ErrNotFound) {
		return nil, findError(err, prefix, s)
	}
	return roots, err
}

func (s *sourceFlags) readTrace(ctx context.Context, src source, prefix string, since, now time.Time) ([]*tree.Task, error) {
	keys := newTraceKeys()
	want := []byte(prefix)
	forest, err := gather(ctx, src, window{since: since, until: s.untilTime, trace: prefix}, s.treeConfig(ctx, src, now), func(it item) bool {
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
