package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// runBy shows what has a value in a field: entries without a task, and the trees of those with one.
func (f *treeFlags) runBy(ctx context.Context, env Env, value string) error {
	now := time.Now()
	if f.source.since == "" && f.source.asksRouter() {
		f.source.since = tasksSince
	}
	if err := firstError(f.source.check(now), f.out.check()); err != nil {
		return err
	}
	if value == "" {
		return usagef("--by %s: the value to look for is empty", f.by)
	}
	env, err := f.rereadable(env)
	if err != nil {
		return err
	}
	found := newSharers(f.by, value)
	if err := f.each(env, func(src source) error {
		return src.read(ctx, window{since: f.source.sinceTime, until: f.source.untilTime}, found.look)
	}); err != nil {
		return err
	}
	group, err := found.choose(f.source.windowText())
	if err != nil {
		return err
	}
	roots, err := f.rootsOf(ctx, env, group.traces, now)
	if err != nil {
		return err
	}
	if len(group.loose) == 0 && len(roots) == 1 {
		return f.print(env, roots, now)
	}
	top := tree.Gather(tree.By{Field: f.by, Value: group.value}, group.loose, roots)
	return f.print(env, []*tree.Task{top}, now)
}

// rereadable makes standard input, if it is among the files, something that can be read twice.
func (f *treeFlags) rereadable(env Env) (Env, error) {
	if !slices.Contains(f.source.files, "-") {
		return env, nil
	}
	data, err := io.ReadAll(env.Stdin)
	if err != nil {
		return env, fmt.Errorf("read standard input: %w", err)
	}
	env.Stdin = bytes.NewReader(data)
	return env, nil
}

// each opens the source for one reading.
func (f *treeFlags) each(env Env, read func(source) error) (err error) {
	if r, ok := env.Stdin.(*bytes.Reader); ok {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return err
		}
	}
	src, err := f.source.open(env)
	if err != nil {
		return err
	}
	defer closeSource(src, &err)
	return read(src)
}

// rootsOf reads the trees of traces, whole.
func (f *treeFlags) rootsOf(ctx context.Context, env Env, traces map[string]bool, now time.Time) (roots []*tree.Task, err error) {
	if len(traces) == 0 {
		return nil, nil
	}
	var w window
	if len(f.source.files) == 0 {
		w.since = f.source.sinceTime
		for id := range traces {
			if begin, ok := traceStart(id); ok && begin.Before(w.since) {
				w.since = begin
			}
		}
		w.since = w.since.Add(-clockSlack)
	}
	env.Stderr = io.Discard // what is odd was said at the first reading
	err = f.each(env, func(src source) error {
		keys := newTraceKeys()
		forest, err := gather(ctx, src, w, f.source.treeConfig(ctx, src, now), func(it item) bool {
			id := keys.of(it.line)
			return traces[string(id)] || (id == nil && it.subj.Level == subject.TaskLevel)
		})
		if err == nil {
			roots = forest.Roots()
		}
		return err
	})
	return roots, err
}

// sharers collects what has one value in a field. Until the whole is read nobody knows whether the value that was asked for is a
// whole one or the beginning of one, and of how many.
type sharers struct {
	field, value string
	keys         *entry.Keys
	slots        entry.Slots
	traces       *traceKeys
	exact        *group
	longer       map[string]*group // values that only begin so; entries are kept of the first alone
}

// group is what shares one value.
type group struct {
	value  string
	loose  []*entry.Entry
	traces map[string]bool
}

func newSharers(field, value string) *sharers {
	keys := entry.CompileKeys([]string{field})
	return &sharers{field: field, value: value, keys: keys, slots: keys.NewSlots(), traces: newTraceKeys(), longer: map[string]*group{}}
}

// look takes an entry if it has the value.
func (s *sharers) look(it item) error {
	if s.keys.Scan(it.line, s.slots) != nil {
		return nil
	}
	v := s.slots[0]
	if v.Kind != entry.String && v.Kind != entry.Number {
		return nil
	}
	value := string(v.Text(nil))
	if !strings.HasPrefix(value, s.value) {
		return nil
	}
	if g := s.group(value); g != nil {
		s.keep(g, it)
	}
	return nil
}

// group returns where entries with the value go, nil where they can no longer be the ones that are asked for.
func (s *sharers) group(value string) *group {
	switch {
	case value == s.value && s.exact == nil:
		s.exact = &group{value: value, traces: map[string]bool{}}
		for _, g := range s.longer {
			g.loose, g.traces = nil, nil
		}
		return s.exact
	case value == s.value:
		return s.exact
	case s.exact != nil:
		return nil
	}
	g := s.longer[value]
	switch {
	case g != nil && len(s.longer) == 1:
		return g
	case g == nil && len(s.longer) == 0:
		g = &group{value: value, traces: map[string]bool{}}
		s.longer[value] = g
		return g
	case g == nil && len(s.longer) <= mostNamed:
		s.longer[value] = &group{value: value}
	}
	return nil
}

// mostNamed is how many values are named where several begin as was asked.
const mostNamed = 5

func (s *sharers) keep(g *group, it item) {
	if id := s.traces.of(it.line); id != nil {
		g.traces[string(id)] = true
		return
	}
	e, err := parseEntry(slices.Clone(it.line))
	if err != nil {
		return
	}
	if svc := it.subj.Service(); svc != "" {
		e.Meta.Svc = svc
	}
	if e.Time.IsZero() {
		e.Time = it.at
	}
	g.loose = append(g.loose, &e)
}

// choose returns what was asked for; where says where was looked.
func (s *sharers) choose(where string) (*group, error) {
	if s.exact != nil {
		return s.exact, nil
	}
	values := make([]string, 0, len(s.longer))
	for value, g := range s.longer {
		if len(s.longer) == 1 {
			return g, nil
		}
		values = append(values, value)
	}
	if len(values) == 0 {
		return nil, fmt.Errorf("no entry with %s=%s%s", s.field, s.value, where)
	}
	slices.Sort(values)
	text := strings.Join(values[:min(len(values), mostNamed)], ", ")
	if len(values) > mostNamed {
		text += ", …"
	}
	return nil, usagef("find %s=%s: several values begin so: %s", s.field, s.value, text)
}
