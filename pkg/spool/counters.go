package spool

import (
	"sync/atomic"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// levels counts the rows of counters: one for each level and one for task entries.
const (
	levels       = int(entry.None) - int(entry.Trace) + 2
	counterWords = levels * int(reasons)
)

// counters are the refusals by level and reason. They may lie in a mapped file, so that a crash still tells them.
type counters struct {
	words []atomic.Uint64
	saved func(i int) // writes word i where words do not lie in the file themselves; nil for none
}

func newCounters() counters { return counters{words: make([]atomic.Uint64, counterWords)} }

func (c counters) refuse(level entry.Level, task bool, why Reason) {
	row := levels - 1
	if !task {
		row = int(level - entry.Trace)
		if row < 0 || row >= levels-1 {
			row = int(entry.None - entry.Trace)
		}
	}
	i := row*int(reasons) + int(why)
	c.words[i].Add(1)
	if c.saved != nil {
		c.saved(i)
	}
}

// list returns what was counted, by level and reason, task entries last.
func (c counters) list() []Refusal {
	var all []Refusal
	for i := range c.words {
		if n := c.words[i].Load(); n > 0 {
			row := i / int(reasons)
			r := Refusal{Level: entry.Trace + entry.Level(row), Reason: Reason(i % int(reasons)), Count: n}
			if row == levels-1 {
				r.Level, r.Task = entry.None, true
			}
			all = append(all, r)
		}
	}
	return all
}
