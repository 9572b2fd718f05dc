package tree

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// ErrNotFound says that no trace begins with what was asked for.
var ErrNotFound = errors.New("no such trace")

// AmbiguousError says that several traces begin with what was asked for.
type AmbiguousError struct {
	Prefix string
	// Traces are the ids of the first of them, in order; Count says how many
	// there are in all.
	Traces []string
	Count  int
}

// Error names the traces, so that the next try can be longer.
func (e *AmbiguousError) Error() string {
	text := fmt.Sprintf("find trace %q: %d traces begin so: %s", e.Prefix, e.Count, strings.Join(e.Traces, ", "))
	if e.Count > len(e.Traces) {
		text += ", …"
	}
	return text
}

// Find returns the outermost tasks of the one trace whose id begins with
// prefix; dashes and upper case, as in a UUID, are accepted. The error is
// [ErrNotFound] or an [*AmbiguousError].
func (f *Forest) Find(prefix string) ([]*Task, error) {
	ids := f.withPrefix(prefix)
	switch len(ids) {
	case 0:
		return nil, fmt.Errorf("find trace %q: %w", prefix, ErrNotFound)
	case 1:
		return f.build(f.traces[ids[0]], f.cfg.Now()), nil
	}
	const shown = 5
	e := &AmbiguousError{Prefix: prefix, Count: len(ids)}
	for _, id := range ids[:min(shown, len(ids))] {
		e.Traces = append(e.Traces, id.String())
	}
	return nil, e
}

func (f *Forest) withPrefix(prefix string) []task.Trace {
	prefix = strings.ToLower(strings.ReplaceAll(prefix, "-", ""))
	if id, err := task.ParseTrace(prefix); err == nil {
		if f.traces[id] == nil {
			return nil
		}
		return []task.Trace{id}
	}
	var ids []task.Trace
	for id := range maps.Keys(f.traces) {
		if prefix != "" && strings.HasPrefix(id.String(), prefix) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compareTraces)
	return ids
}

// Newest sorts outermost tasks so that those begun last come first. Of a task
// whose start is unknown the trace id tells when it began, if dlog made it;
// those that nothing tells of come last.
func Newest(roots []*Task) {
	slices.SortStableFunc(roots, func(a, b *Task) int {
		return cmp.Or(begun(b).Compare(begun(a)), strings.Compare(b.Trace, a.Trace))
	})
}

func begun(t *Task) time.Time {
	if !t.Started.IsZero() {
		return t.Started
	}
	id, _ := task.ParseTrace(t.Trace) // the zero trace holds no time
	at, _ := id.Time()
	return at
}
