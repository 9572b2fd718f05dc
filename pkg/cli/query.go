package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// openChecked reads the flags that all readers share and opens the source.
func (s *sourceFlags) openChecked(env Env, now time.Time, others ...error) (source, error) {
	if err := firstError(append([]error{s.check(now)}, others...)...); err != nil {
		return nil, err
	}
	return s.open(env)
}

// output is the form of what a reader prints.
type output struct {
	format string
	forms  []string
}

func (o *output) addFlag(cmd *cobra.Command, forms ...string) {
	o.forms = forms
	cmd.Flags().StringVar(&o.format, "format", forms[0], "print as "+strings.Join(forms, " or "))
}

func (o *output) check() error {
	for _, f := range o.forms {
		if o.format == f {
			return nil
		}
	}
	return usagef("--format %q: want %s", o.format, strings.Join(o.forms, " or "))
}

func (o *output) json() bool { return o.format == "json" }

// conditions are the --where flags.
type conditions struct {
	args  []string
	where *cond.Where
}

func (c *conditions) addFlag(cmd *cobra.Command, what string) {
	cmd.Flags().StringArrayVar(&c.args, "where", nil, what+" (`COND`: service=payments, level>=warn, duration_ms>500, message~^GET, user.id=*, f= absent, f=a,b any of, f!=v; repeated: all)")
}

func (c *conditions) check() error {
	where, err := cond.ParseWhere(c.args)
	if err != nil {
		return usage(err)
	}
	c.where = where
	return nil
}

// hint is the conditions for a source that has an index of words, nil where there are none.
func (c *conditions) hint() *cond.Where {
	if len(c.args) == 0 {
		return nil
	}
	return c.where
}

func (c *conditions) match(it item) bool {
	return len(c.args) == 0 || c.where.Match(it.subj, it.line)
}

// traceKeys finds the trace of a line without reading the rest.
type traceKeys struct {
	keys  *entry.Keys
	slots entry.Slots
	buf   []byte
}

func newTraceKeys() *traceKeys {
	k := entry.CompileKeys([]string{"dlog.trace", "task_uuid"})
	return &traceKeys{keys: k, slots: k.NewSlots(), buf: make([]byte, 64)}
}

// of returns the trace id of the line as 32 hex digits, nil where it has none. The result is valid until the next call.
func (t *traceKeys) of(line []byte) []byte {
	if t.keys.Scan(line, t.slots) != nil {
		return nil
	}
	if t.slots[0].Present() {
		return t.slots[0].Text(t.buf)
	}
	if !t.slots[1].Present() {
		return nil
	}
	out := t.buf[:0]
	for _, c := range t.slots[1].Text(nil) { // Eliot writes the id with hyphens
		if c != '-' {
			out = append(out, c)
		}
	}
	return out
}

// gather reads the window and puts what keep wants into a forest. What frames processes belongs to no trace and always goes in:
// it tells whether a process still lives.
func gather(ctx context.Context, src source, w window, cfg tree.Config, keep func(item) bool) (*tree.Forest, error) {
	f := tree.With(cfg)
	err := src.read(ctx, w, func(it item) error {
		if !keep(it) {
			return nil
		}
		e, err := it.parsed()
		if err != nil {
			return nil // a line that is no entry is nobody's; the router sends it to the dead letters
		}
		if it.subj.Service() != "" {
			e.Meta.Svc = it.subj.Service() // the subject is what the server checked
		}
		f.AddAt(e, it.at)
		return nil
	})
	return f, err
}

// parsed returns the item's entry with bytes of its own.
func (it item) parsed() (entry.Entry, error) {
	line := slices.Clone(it.line)
	if it.entry == nil {
		return parseEntry(line)
	}
	e := *it.entry
	e.Raw = line
	return e, nil
}

// traceStart returns the earliest moment at which a trace with this prefix can have begun, and whether the prefix tells: the
// first 48 bits of a UUIDv7 are milliseconds. Foreign ids do not tell, which shows in the version digit when it is there.
func traceStart(prefix string) (time.Time, bool) {
	const digits = 12
	if len(prefix) < 8 || (len(prefix) > digits && prefix[digits] != '7') {
		return time.Time{}, false
	}
	padded := (prefix + strings.Repeat("0", 32))[:digits] + "7" + strings.Repeat("0", 19)
	id, err := task.ParseTrace(padded)
	if err != nil {
		return time.Time{}, false
	}
	return id.Time()
}

// findError explains a prefix that names no tree or several.
func findError(err error, prefix string, s *sourceFlags) error {
	var many *tree.AmbiguousError
	if errors.As(err, &many) {
		return usage(err)
	}
	where := "stream " + s.stream
	switch {
	case len(s.files) > 0:
		where = strings.Join(s.files, ", ")
	case s.store != "":
		where = s.store
	}
	return fmt.Errorf("no task with trace %s in %s; \"dlog-sink tasks --since 1d\" lists those there are", prefix, where)
}
