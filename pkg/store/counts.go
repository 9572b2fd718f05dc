package store

import (
	"context"
	"database/sql/driver"
	"math"
	"slices"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Count is how many entries one minute, by the stream's clock, has of one kind.
type Count struct {
	Minute  time.Time
	Service string
	// Level is the one in the entry, that of starts and ends included.
	Level entry.Level
	// Event is "" for what the user said; Outcome is set on ends.
	Event   entry.Event
	Outcome task.Outcome
	// Entries and Bytes, line ends included.
	Entries, Bytes int64
}

// Counts hands over the counters of the minutes that overlap the window, in the order of time. They are kept while entries are stored, so no
// entry is read.
func (r *Reader) Counts(ctx context.Context, since, until time.Time, fn func(Count) error) error {
	w := newWindow(since, until)
	return stopped(r.each(ctx, false, func(h *handle) error {
		return h.d.query(func(row []driver.Value) error {
			level, _ := entry.ParseLevel(asText(row[2]))
			return fn(Count{
				Minute: time.Unix(asInt(row[0])*60, 0).UTC(), Service: asText(row[1]), Level: level, Event: entry.Event(asText(row[3])),
				Outcome: task.Outcome(asText(row[4])), Entries: asInt(row[5]), Bytes: asInt(row[6]),
			})
		}, "SELECT minute, service, level, event, outcome, entries, bytes FROM counts WHERE minute BETWEEN ? AND ? ORDER BY minute",
			floorDiv(w.since, 60_000), floorDiv(w.until, 60_000))
	}))
}

// Usual is how long the tasks of one path of one service took, over all that is stored. Both durations are at most 4.5 % off.
type Usual struct {
	Tasks       int64
	Median, P95 time.Duration
}

// Usual tells how long tasks of this service and path usually take. Paths that differ only in what subjects fold count as one.
func (r *Reader) Usual(ctx context.Context, service, path string) (Usual, error) {
	want, err := subject.Parse(subject.In("x", service, subject.TaskLevel, path))
	if err != nil {
		return Usual{}, err
	}
	buckets := map[int64]int64{}
	err = r.each(ctx, false, func(h *handle) error {
		if err := h.loadSubjects(); err != nil {
			return err
		}
		for id, s := range h.subjects {
			if !s.isTask || s.subj.ServiceToken != want.ServiceToken || s.subj.Names != want.Names {
				continue
			}
			err := h.d.query(func(row []driver.Value) error {
				buckets[asInt(row[0])] += asInt(row[1])
				return nil
			}, "SELECT bucket, tasks FROM durations WHERE subject = ?", id)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return usual(buckets), err
}

func usual(buckets map[int64]int64) Usual {
	var u Usual
	var keys []int64
	for b, n := range buckets {
		keys = append(keys, b)
		u.Tasks += n
	}
	slices.Sort(keys)
	at := func(share float64) time.Duration {
		rest := int64(math.Ceil(share * float64(u.Tasks)))
		for _, b := range keys {
			if rest -= buckets[b]; rest <= 0 {
				return time.Duration(math.Exp2(float64(min(b, 8*60))/8) * float64(time.Microsecond))
			}
		}
		return 0
	}
	u.Median, u.P95 = at(0.5), at(0.95)
	return u
}

// File is one day's file.
type File struct {
	// Day is its date in UTC, Name its name without the directory.
	Day, Name string
	// Bytes on the disk, with its log.
	Bytes int64
	// Entries it holds, Blocks they stand in, and when the stream stored the first and the last of them.
	Entries, Blocks int64
	First, Last     time.Time
	// Position is the position in the stream that its last commit said, Commit that commit's number.
	Position []byte
	Commit   int64
}

// Files lists the files that can be read, oldest first.
func (r *Reader) Files(ctx context.Context) ([]File, error) {
	var out []File
	err := r.each(ctx, false, func(h *handle) error {
		st, err := readState(h.d)
		if err != nil {
			return err
		}
		f := File{Day: h.day, Name: h.day + suffix, Bytes: fileSize(h.path), Entries: st.entries, Position: st.position, Commit: st.commits}
		row, err := h.d.one("SELECT count(*), min(first_time), max(last_time) FROM blocks")
		if err == nil && row != nil {
			f.Blocks, f.First, f.Last = asInt(row[0]), millis(row[1]), millis(row[2])
		}
		out = append(out, f)
		return err
	})
	return out, err
}

// Position returns the position in the stream that the last commit said, nil for an empty store.
func (r *Reader) Position(ctx context.Context) ([]byte, error) {
	var last fileState
	err := r.each(ctx, true, func(h *handle) error {
		st, err := readState(h.d)
		if st.commits > last.commits {
			last = st
		}
		return err
	})
	return last.position, err
}
