package tree

import "strings"

// Cause returns the deepest task at t or below that failed or panicked: where
// the trouble began; nil when none did. Of several at one depth it is the one
// whose error text the outermost failed task repeats, as Go's wrapped errors
// do, else the first in order. What is guessed counts only where nothing else
// failed.
func (t *Task) Cause() *Task {
	var outer, deepest *Task
	t.Walk(func(at *Task) bool {
		if !at.failed() {
			return true
		}
		if outer == nil {
			outer = at
		}
		if deepest == nil || outer.nearer(at, deepest) {
			deepest = at
		}
		return true
	})
	return deepest
}

// nearer reports whether the trouble of t rather began at a than at b.
func (t *Task) nearer(a, b *Task) bool {
	switch {
	case a.Guessed != b.Guessed:
		return b.Guessed
	case a.depth != b.depth:
		return a.depth > b.depth
	case a.Guessed:
		// What went wrong first made the others do so; of one time, as clocks of
		// whole seconds have it, who was asked last.
		c := a.erred.Compare(b.erred)
		return c < 0 || c == 0 && !a.Started.Before(b.Started)
	}
	return !t.repeats(b) && t.repeats(a)
}

// repeats reports whether the error text of t holds that of below.
func (t *Task) repeats(below *Task) bool {
	return below.Error != "" && strings.Contains(t.Error, below.Error)
}
