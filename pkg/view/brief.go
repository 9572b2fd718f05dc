package view

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// A line of a tree does not repeat what the lines around it say, unless all is
// asked for: the order's number stands on the task of the order and not on each
// entry below, an error that is passed up stands where it came from and on the
// outermost task.

// said counts the fields, name and value, that the tasks around a line show: what
// each was begun with and what it failed with. Results are no context.
type said map[[2]string]int

// enter adds what the task's line shows to what is known below it.
func (s said) enter(t *tree.Task) { s.add(t, 1) }

// leave takes it away again.
func (s said) leave(t *tree.Task) { s.add(t, -1) }

func (s said) add(t *tree.Task, n int) {
	if t.By != nil { // a string or a number
		s[[2]string{t.By.Field, t.By.Value}] += n
		s[[2]string{t.By.Field, string(entry.AppendString(nil, t.By.Value))}] += n
	}
	about := cmp.Or(t.Start, t.End)
	for _, e := range []*entry.Entry{t.Start, t.End} {
		if e == nil {
			continue
		}
		for name, value := range ownFields(e) {
			if e == about || rankOf(e, name) == first {
				s[[2]string{name, string(value.Raw)}] += n
			}
		}
	}
}

// frame returns the entries whose fields the task's line shows. Of dlog's an end
// repeats what the start has, of Eliot's it does not.
func frame(t *tree.Task) []*entry.Entry {
	switch {
	case t.Start == nil && t.End == nil:
		return nil
	case t.End == nil:
		return []*entry.Entry{t.Start}
	case t.Start == nil || !isEliot(t.End):
		return []*entry.Entry{t.End}
	}
	return []*entry.Entry{t.Start, t.End}
}

// known reports whether a line around says the same.
func (d *drawing) known(name string, value entry.Value) bool {
	return !d.o.All && d.said[[2]string{name, string(value.Raw)}] > 0
}

// taskFields writes the fields of a task's line. What the outermost task is about
// comes before its error, which the last line of the tree repeats.
func (d *drawing) taskFields(t *tree.Task, folded bool) {
	order := []rank{first, middle, last}
	if t.Parent() == nil {
		order = []rank{middle, first, last}
	}
	skip := d.brief(t, folded)
	for _, r := range order {
		for _, e := range frame(t) {
			d.ranked(e, r, func(name string, value entry.Value) bool {
				return skip(name, value) || e != t.End && repeated(t.End, name)
			})
		}
	}
}

// repeated reports whether the end has the field too, and so the last word.
func repeated(end *entry.Entry, name string) bool {
	if end == nil {
		return false
	}
	for key := range ownFields(end) {
		if key == name {
			return true
		}
	}
	return false
}

// brief returns what decides which fields a task's line leaves out.
func (d *drawing) brief(t *tree.Task, folded bool) func(string, entry.Value) bool {
	if d.o.All {
		return func(string, entry.Value) bool { return false }
	}
	passedUp := !folded && t.Parent() != nil && passes(t) || t.Outcome == task.Cancelled && t.Error == context.Canceled.Error()
	return func(name string, value entry.Value) bool {
		if aboutError(t, name, value) {
			return passedUp
		}
		return d.known(name, value) || inName(t, name, value) || inError(t, name, value) || transported(name)
	}
}

// transported reports whether a field says how a request came and went rather
// than what it was about.
func transported(name string) bool { return name == "peer" || name == "bytes" }

// aboutError reports whether a field says what the task failed with.
func aboutError(t *tree.Task, name string, value entry.Value) bool {
	switch name {
	case "error", "reason":
		return text(value) == t.Error
	case "exception":
		return t.End != nil && isEliot(t.End)
	}
	return false
}

// passes reports whether a task below shows the error of t.
func passes(t *tree.Task) bool {
	shown := 0
	for _, c := range t.Children() {
		if !c.Troubled() {
			continue
		}
		if shown++; shown > keepHot {
			return false
		}
		if c.Error == t.Error {
			return true
		}
	}
	return false
}

// inName reports whether the task's name holds the field: that of a request is
// made of its method and route.
func inName(t *tree.Task, name string, value entry.Value) bool {
	return (name == "method" || name == "url") && slices.Contains(strings.Fields(t.Name), text(value))
}

// inError reports whether the field is the status that the error is about.
func inError(t *tree.Task, name string, value entry.Value) bool {
	return name == "status" && strings.HasPrefix(t.Error, "status "+string(value.Raw))
}

// pathText shows a path to people: its names as they were given, between them
// "/", or where a name holds that itself, "›".
func pathText(path string) string { return joinNames(task.SplitPath(path)) }

func joinNames(names []string) string {
	for _, name := range names {
		if strings.Contains(name, "/") {
			return strings.Join(names, " › ")
		}
	}
	return strings.Join(names, "/")
}
