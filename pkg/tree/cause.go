package tree

import "strings"

// Cause returns the deepest task at t or below that failed or panicked: where
// the trouble began; nil when none did. Of several at one depth it is the one
// whose error text the outermost failed task repeats, as Go's wrapped errors
// do, else the first in order.
func (t *Task) Cause() *Task {
	var outer, deepest *Task
	t.Walk(func(at *Task) bool {
		if !at.failed() {
			return true
		}
		if outer == nil {
			outer = at
		}
		if deepest == nil || at.depth > deepest.depth ||
			at.depth == deepest.depth && !outer.repeats(deepest) && outer.repeats(at) {
			deepest = at
		}
		return true
	})
	return deepest
}

// repeats reports whether the error text of t holds that of below.
func (t *Task) repeats(below *Task) bool {
	return below.Error != "" && strings.Contains(t.Error, below.Error)
}
