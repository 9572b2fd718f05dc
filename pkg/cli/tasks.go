package cli

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
	"github.com/dlog-fabric/dlog/pkg/view"
)

// tasksSince is how far back tasks looks in a stream when nobody says; a stream may hold a week.
const tasksSince = "1h"

type tasksFlags struct {
	source   sourceFlags
	cond     conditions
	out      output
	outcomes []string
	limit    int
}

func tasksCommand(env Env) *cobra.Command {
	var f tasksFlags
	cmd := &cobra.Command{
		Use:   "tasks",
		Short: "List what was being achieved and whether it succeeded",
		Long: `tasks lists the outermost tasks, newest first: outcome, duration, path, service, how many entries the whole tree has,
how many of its numbers are absent, and the error of the deepest task that failed.

--where asks about the task's own start or end entry, so it finds fields that the task was started with.
From a stream it looks back ` + tasksSince + ` unless --since says otherwise; from files and stores it takes all.`,
		Example: `  dlog-sink tasks --outcome failed --since 1h
  dlog-sink tasks --where order=o-17
  dlog-sink tasks --where path=place-order --outcome running,abandoned
  dlog-sink tasks --file checkout.log --file payments.log --format json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	f.source.addFlags(cmd, env)
	f.source.addPastFlags(cmd)
	f.cond.addFlag(cmd, "only tasks whose start or end entry fulfils this")
	f.out.addFlag(cmd, "text", "json")
	cmd.Flags().StringSliceVar(&f.outcomes, "outcome", nil, "only tasks with this `OUTCOME`: succeeded, failed, cancelled, panicked, running, abandoned (repeatable; \"failed\" includes panicked)")
	cmd.Flags().IntVar(&f.limit, "limit", 0, "at most `N` tasks, the newest")
	return cmd
}

func (f *tasksFlags) run(ctx context.Context, env Env) (err error) {
	now := time.Now()
	if f.source.since == "" && f.source.asksRouter() {
		f.source.since = tasksSince
	}
	outcomes, err := parseOutcomes(f.outcomes)
	src, err := f.source.openChecked(env, now, f.cond.check(), f.out.check(), checkLimit(f.limit), err)
	if err != nil {
		return err
	}
	defer closeSource(src, &err)
	roots, err := f.collect(ctx, src, now, outcomes)
	if err != nil {
		return err
	}
	return f.print(env, roots, now)
}

// collect reads twice: first only what frames tasks, which is a small part of a stream, to choose; then everything about
// the chosen, to count their entries.
func (f *tasksFlags) collect(ctx context.Context, src source, now time.Time, outcomes []task.Outcome) ([]*tree.Task, error) {
	cfg := f.source.treeConfig(ctx, src, now)
	w := window{since: f.source.sinceTime, until: f.source.untilTime, frames: true}
	frames, err := gather(ctx, src, w, cfg, func(item) bool { return true })
	if err != nil {
		return nil, err
	}
	chosen, begin := f.choose(frames.Roots(), outcomes)
	if len(chosen) == 0 {
		return nil, nil
	}
	if len(f.source.files) > 0 {
		return f.reselect(frames, chosen), nil // a file has no index: everything was read already
	}
	w.frames = false
	if begin.After(w.since) {
		w.since = begin
	}
	traces := map[string]bool{}
	for key := range chosen {
		traces[key.trace] = true
	}
	w.traces = slices.Sorted(maps.Keys(traces))
	keys := newTraceKeys()
	full, err := gather(ctx, src, w, cfg, func(it item) bool {
		id := keys.of(it.line)
		return traces[string(id)] || (id == nil && it.subj.Level == subject.TaskLevel)
	})
	if err != nil {
		return nil, err
	}
	return f.reselect(full, chosen), nil
}

// rootKey tells the outermost tasks of one trace apart.
type rootKey struct {
	trace string
	pos   task.Position
}

// clockSlack is how far a writer's clock may be behind the stream's when entries of a chosen task are looked for.
const clockSlack = 10 * time.Minute

// choose picks the tasks that fulfil the flags and the earliest time at which their entries can have been stored.
func (f *tasksFlags) choose(roots []*tree.Task, outcomes []task.Outcome) (map[rootKey]bool, time.Time) {
	tree.Newest(roots)
	chosen := map[rootKey]bool{}
	var begin time.Time
	for _, t := range roots {
		if f.limit > 0 && len(chosen) == f.limit {
			break
		}
		if len(outcomes) > 0 && !slices.Contains(outcomes, t.Outcome) || !f.matches(t) {
			continue
		}
		chosen[rootKey{t.Trace, t.Pos}] = true
		if at := t.Started.Add(-clockSlack); len(chosen) == 1 || at.Before(begin) {
			begin = at
		}
	}
	return chosen, begin
}

func (f *tasksFlags) reselect(forest *tree.Forest, chosen map[rootKey]bool) []*tree.Task {
	roots := slices.DeleteFunc(forest.Roots(), func(t *tree.Task) bool { return !chosen[rootKey{t.Trace, t.Pos}] })
	tree.Newest(roots)
	return roots
}

// matches asks the conditions about the entries that frame the task.
func (f *tasksFlags) matches(t *tree.Task) bool {
	if len(f.cond.args) == 0 {
		return true
	}
	for _, e := range []*entry.Entry{t.Start, t.End} {
		if e == nil {
			continue
		}
		subj, err := subject.Parse(subject.In("dlog", t.Service, subject.TaskLevel, e.Meta.Path))
		if err == nil && f.cond.match(item{subj: subj, line: e.Raw}) {
			return true
		}
	}
	return false
}

func (f *tasksFlags) print(env Env, roots []*tree.Task, now time.Time) error {
	out := bufio.NewWriter(env.Stdout)
	if f.out.json() {
		var buf []byte
		for _, t := range roots {
			buf = append(tree.AppendSummary(buf[:0], t), '\n')
			if _, err := out.Write(buf); err != nil {
				return err
			}
		}
		return out.Flush()
	}
	if len(roots) == 0 {
		fmt.Fprintf(env.Stderr, "dlog-sink: no such tasks%s\n", f.source.windowText())
		return nil
	}
	if err := view.Tasks(out, roots, viewOptions(env, now)); err != nil {
		return err
	}
	return out.Flush()
}

// windowText says in words where was looked, for the line that says that nothing was found.
func (s *sourceFlags) windowText() string {
	var b strings.Builder
	switch {
	case len(s.files) > 0:
		b.WriteString(" in " + strings.Join(s.files, ", "))
	case s.store != "":
		b.WriteString(" in " + s.store)
	default:
		b.WriteString(" in stream " + s.stream)
	}
	if !s.sinceTime.IsZero() {
		b.WriteString(" since " + s.sinceTime.Format(time.DateTime))
	}
	if !s.untilTime.IsZero() {
		b.WriteString(" until " + s.untilTime.Format(time.DateTime))
	}
	return b.String()
}

func parseOutcomes(words []string) ([]task.Outcome, error) {
	var out []task.Outcome
	for _, w := range words {
		o, ok := task.ParseOutcome(w)
		if !ok {
			return nil, usagef("--outcome %q: want succeeded, failed, cancelled, panicked, running or abandoned", w)
		}
		out = append(out, o)
		if o == task.Failed {
			out = append(out, task.Panicked)
		}
	}
	return out, nil
}

func checkLimit(n int) error {
	if n < 0 {
		return usagef("--limit %d: want 0 (no limit) or more", n)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
