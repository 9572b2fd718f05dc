package store

import (
	"cmp"
	"context"
	"database/sql/driver"
	"slices"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// TaskQuery says which outermost tasks are wanted. The zero value wants all.
type TaskQuery struct {
	// Since and Until bound when the stream stored the task's last start or end.
	Since, Until time.Time
	// Outcomes wanted; none means all. Of a task without an end the store knows only that it has none: task.Running and task.Abandoned both
	// mean those.
	Outcomes []task.Outcome
	// Limit is the most tasks wanted, the newest; 0 means all.
	Limit int
	// Counts fills in TaskSummary.Entries and Errors, which costs a look into each file for each task.
	Counts bool
}

// TaskSummary is what the store noted of an outermost task. What has to be exact for one that is shown (abandoned or running, what is missing)
// comes from its entries: see ReadTraces and package tree.
type TaskSummary struct {
	Trace task.Trace
	// Pos is "" or, for a task that continues a stranger's span, its position.
	Pos           task.Position
	Service, Path string
	// Outcome is task.Running where there is no end.
	Outcome task.Outcome
	// Started and Ended are by the writer's clock, Seen is when the stream stored the last of start and end; zero is unknown.
	Started, Ended, Seen time.Time
	// Elapsed is in milliseconds, -1 where it is unknown.
	Elapsed float64
	// Error is that of the task's own end; Cause is that of the deepest task that failed, at CausePos.
	Error, Cause string
	CausePos     task.Position
	// Entries and Errors (level error and above) count the whole trace.
	Entries, Errors int64

	framed bool // its start or end is in some file
}

// Tasks returns the outermost tasks of the window, newest first.
func (r *Reader) Tasks(ctx context.Context, q TaskQuery) ([]TaskSummary, error) {
	m := &taskMerge{q: q, w: newWindow(q.Since, q.Until), at: map[taskKey]int{}}
	err := r.each(ctx, true, func(h *handle) error {
		if err := h.loadSubjects(); err != nil {
			return err
		}
		return m.read(h)
	})
	if err != nil {
		return nil, err
	}
	if err := m.complete(ctx, r); err != nil {
		return nil, err
	}
	out := m.result()
	if q.Counts {
		err = r.countTraces(ctx, out)
	}
	return out, err
}

type taskKey struct {
	trace task.Trace
	pos   task.Position
}

// taskMerge puts together what several files say of the same task: a day knows its part.
type taskMerge struct {
	q     TaskQuery
	w     window
	tasks []TaskSummary
	at    map[taskKey]int
}

const taskColumns = "SELECT trace, pos, subject, path, seen, started, ended, elapsed, outcome, error, cause, cause_pos FROM tasks "

func (m *taskMerge) read(h *handle) error {
	where := "WHERE seen BETWEEN ? AND ?"
	if len(m.q.Outcomes) > 0 && !slices.Contains(m.q.Outcomes, task.Succeeded) {
		where += " AND outcome IS NOT 'succeeded'" // which has an index
	}
	return h.d.query(func(row []driver.Value) error {
		m.add(h, row, true)
		return nil
	}, taskColumns+where, m.w.since, m.w.until)
}

// add merges a row; one of a file that stands outside of the window changes only what is known.
func (m *taskMerge) add(h *handle, row []driver.Value, wanted bool) {
	var k taskKey
	if copy(k.trace[:], asBytes(row[0])) != len(k.trace) {
		return
	}
	k.pos = task.Position(asText(row[1]))
	i, ok := m.at[k]
	if !ok {
		if !wanted {
			return
		}
		i = len(m.tasks)
		m.at[k] = i
		m.tasks = append(m.tasks, TaskSummary{Trace: k.trace, Pos: k.pos, Outcome: task.Running, Elapsed: -1})
	}
	m.tasks[i].merge(h, row)
}

func (t *TaskSummary) merge(h *handle, row []driver.Value) {
	if subj := h.subject(asInt(row[2])); subj != nil && !t.framed {
		t.framed, t.Service, t.Path = true, subj.service, subj.path
		if path := asText(row[3]); path != "" {
			t.Path = path
		}
	}
	if at := millis(row[4]); at.After(t.Seen) {
		t.Seen = at
	}
	if t.Started.IsZero() {
		t.Started = fromMicros(row[5])
	}
	if outcome := asText(row[8]); row[8] != nil && !t.Outcome.Ended() {
		t.Outcome, t.Ended, t.Error, t.Elapsed = task.Outcome(outcome), fromMicros(row[6]), asText(row[9]), -1
		if row[7] != nil {
			t.Elapsed = float64(asInt(row[7])) / 1000
		}
	}
	if row[11] != nil {
		if pos := task.Position(asText(row[11])); t.Cause == "" || pos.Depth() > t.CausePos.Depth() {
			t.Cause, t.CausePos = asText(row[10]), pos
		}
	}
}

func millis(v driver.Value) time.Time {
	if v == nil {
		return time.Time{}
	}
	return time.UnixMilli(asInt(v)).UTC()
}

func fromMicros(v driver.Value) time.Time {
	if v == nil {
		return time.Time{}
	}
	return time.UnixMicro(asInt(v)).UTC()
}

// complete asks all files about the tasks of which the window holds no end or no start.
func (m *taskMerge) complete(ctx context.Context, r *Reader) error {
	var open []taskKey
	for _, t := range m.tasks {
		if !t.Outcome.Ended() || t.Started.IsZero() {
			open = append(open, taskKey{t.Trace, t.Pos})
		}
	}
	if len(open) == 0 {
		return nil
	}
	return r.each(ctx, true, func(h *handle) error {
		for i := range open {
			err := h.d.query(func(row []driver.Value) error {
				m.add(h, row, false)
				return nil
			}, taskColumns+"WHERE trace = ? AND pos = ?", open[i].trace[:], string(open[i].pos))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (m *taskMerge) result() []TaskSummary {
	out := slices.DeleteFunc(m.tasks, func(t TaskSummary) bool { return !t.framed || !m.wants(t.Outcome) })
	slices.SortFunc(out, func(a, b TaskSummary) int {
		return cmp.Or(b.begin().Compare(a.begin()), strings.Compare(string(b.Trace[:]), string(a.Trace[:])), strings.Compare(string(a.Pos), string(b.Pos)))
	})
	if m.q.Limit > 0 && len(out) > m.q.Limit {
		out = out[:m.q.Limit]
	}
	return out
}

func (m *taskMerge) wants(o task.Outcome) bool {
	if len(m.q.Outcomes) == 0 {
		return true
	}
	return slices.Contains(m.q.Outcomes, o) || o == task.Running && slices.Contains(m.q.Outcomes, task.Abandoned)
}

func (t *TaskSummary) begin() time.Time {
	if t.Started.IsZero() {
		return t.Seen
	}
	return t.Started
}

func (r *Reader) countTraces(ctx context.Context, tasks []TaskSummary) error {
	return r.each(ctx, false, func(h *handle) error {
		for i := range tasks {
			row, err := h.d.one("SELECT sum(entries), sum(errors) FROM traces WHERE trace = ?", tasks[i].Trace[:])
			if err != nil {
				return err
			}
			if row != nil {
				tasks[i].Entries += asInt(row[0])
				tasks[i].Errors += asInt(row[1])
			}
		}
		return nil
	})
}
