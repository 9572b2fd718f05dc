package view

import (
	"io"
	"slices"

	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// The time of a task in a table, with and without limit to its width.
const (
	tableTime  = "2006-01-02 15:04:05"
	narrowTime = "01-02 15:04:05"
)

// leastCause is how many columns the cause must have left beside the others;
// else it stands on a line of its own.
const leastCause = 30

// columnEntries is the column that goes first where there is no room for all.
const columnEntries = 6

// cell is a column's text with its style.
type cell struct {
	style style
	text  string
}

// Tasks writes a table of outermost tasks in the order given: when, how and for
// how long, the shortest part of the trace id that tells them apart, path and
// service, how many entries are there and how many missing, and the cause.
// Columns that are empty throughout are left out; without tasks it writes
// nothing.
func Tasks(w io.Writer, tasks []*tree.Task, o Options) error {
	if len(tasks) == 0 {
		return nil
	}
	short := Prefixes(tasks)
	rows := [][]cell{{{dim, "STARTED"}, {dim, "OUTCOME"}, {dim, "DURATION"}, {dim, "TRACE"}, {dim, "PATH"}, {dim, "SERVICE"}, {dim, "ENTRIES"}, {dim, "MISSING"}, {dim, "CAUSE"}}}
	for i, t := range tasks {
		rows = append(rows, o.taskRow(t, short[i]))
	}
	return writeTable(w, rows, []int{2, 6, 7}, o)
}

func (o Options) taskRow(t *tree.Task, trace string) []cell {
	duration := Duration(t.Elapsed)
	if t.Elapsed < 0 && t.Outcome == task.Running { // how long an abandoned one went on nobody knows
		duration = between(t.Started, o.Now)
	}
	missing := cell{}
	if t.MissingCount() > 0 {
		missing = cell{violet, count(t.MissingCount())}
	}
	cause := cell{style: red}
	if c := t.Cause(); c != nil {
		cause.text = c.Error
	}
	if t.Outcome == task.Succeeded {
		cause.style = dim // what went wrong below, and was put up with
	}
	format := o.TimeFormat
	switch {
	case format != "":
	case o.Width > 0:
		format = narrowTime
	default:
		format = tableTime
	}
	return []cell{
		{dim, o.at(t.Started, format)},
		{outcomeStyle(t.Outcome), Mark(t.Outcome) + " " + outcomeWord(t)},
		{none, duration},
		{dim, trace},
		{none, pathText(t.Path)},
		{cyan, t.Service},
		{none, count(uint64(t.Entries))},
		missing,
		cause,
	}
}

// writeTable writes rows, the head first, with aligned columns; the last one is
// as long as it happens to be.
func writeTable(w io.Writer, rows [][]cell, right []int, o Options) error {
	t := &table{pen: o.pen(), widths: columnWidths(rows, o.Width), right: right}
	t.below = o.Width > 0 && t.used()+leastCause > o.Width
	if o.Width > 0 && t.used() > o.Width+2 && len(t.widths) > columnEntries {
		t.widths[columnEntries] = 0
	}
	for i, row := range rows {
		t.row(row, i == 0)
		if len(t.dst) > 32<<10 {
			if _, err := w.Write(t.dst); err != nil {
				return err
			}
			t.dst, t.fits = t.dst[:0], 0
		}
	}
	_, err := w.Write(t.dst)
	return err
}

// columnWidths returns how wide each column is, 0 for those that hold nothing
// but their head.
func columnWidths(rows [][]cell, width int) []int {
	widths := make([]int, len(rows[0]))
	for _, row := range rows[1:] {
		for i, c := range row {
			widths[i] = max(widths[i], min(Width(c.text), maxCell(width)))
		}
	}
	for i, c := range rows[0] {
		if widths[i] > 0 {
			widths[i] = max(widths[i], Width(c.text))
		}
	}
	return widths
}

// table is a table being written.
type table struct {
	*pen
	widths []int
	right  []int // columns aligned to the right
	below  bool  // the last column stands on lines of its own
}

// used returns the columns that all but the last take, blanks included.
func (t *table) used() (n int) {
	for _, width := range t.widths[:len(t.widths)-1] {
		if width > 0 {
			n += width + 2
		}
	}
	return n
}

func (t *table) row(row []cell, head bool) {
	last := len(row) - 1
	for i, c := range row {
		width := t.widths[i]
		switch {
		case width == 0:
		case i == last && !t.below:
			t.text(c.style, c.text)
		case i == last && head:
		case i == last && c.text != "":
			t.end()
			t.space(2)
			t.text(dim, "└ ")
			t.text(c.style, c.text)
		case i == last:
		case slices.Contains(t.right, i):
			t.pen.right(c.style, shorten(c.text, width), width)
			t.space(2)
		default:
			t.left(c.style, shorten(c.text, width), width)
			t.space(2)
		}
	}
	t.end()
}

// maxCell keeps one long path from pushing all else out of sight.
func maxCell(width int) int {
	if width == 0 {
		return 1 << 30
	}
	return max(width/3, 12)
}

// shorten cuts a text to a number of columns.
func shorten(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	p := &pen{width: width}
	p.write(s)
	return string(p.dst)
}

// Prefixes returns for each task the beginning of its trace id to show: of the
// same length for all, long enough to tell them apart, and at least 16 digits,
// which of a trace id made by dlog are its millisecond and 12 bits more, so that
// other tasks of a busy system seldom begin so too.
func Prefixes(tasks []*tree.Task) []string {
	const least = 16
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.Trace
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	length := least
	for i := 1; i < len(ids); i++ {
		length = max(length, common(ids[i], ids[i-1])+1)
	}
	short := make([]string, len(tasks))
	for i, t := range tasks {
		short[i] = t.Trace[:min(length, len(t.Trace))]
	}
	return short
}

// common returns how many bytes a and b begin with alike.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
