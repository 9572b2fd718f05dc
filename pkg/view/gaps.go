package view

import (
	"io"

	"github.com/dlog-fabric/dlog/pkg/tree"
)

// Gaps writes a table of the absent numbers of trees: the trace, from where to
// where, how many, why, and in which task. Where nothing is absent it writes
// nothing.
func Gaps(w io.Writer, tasks []*tree.Task, o Options) error {
	rows := [][]cell{{{dim, "TRACE"}, {dim, "POSITION"}, {dim, "COUNT"}, {dim, "REASON"}, {dim, "TASK"}}}
	short := Prefixes(tasks)
	for i, t := range tasks {
		t.Walk(func(at *tree.Task) bool {
			for _, m := range at.Missing {
				rows = append(rows, gapRow(short[i], at, m))
			}
			return true
		})
	}
	if len(rows) == 1 {
		return nil
	}
	return writeTable(w, rows, []int{2}, o)
}

func gapRow(trace string, t *tree.Task, m tree.Missing) []cell {
	pos := string(m.Pos)
	if m.First != m.Last {
		pos += " … " + string(m.To())
	}
	return []cell{{dim, trace}, {none, pos}, {none, count(m.Count())}, {violet, reasonText(m)}, {none, pathText(t.Path)}}
}
