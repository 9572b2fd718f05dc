package store

import (
	"database/sql/driver"
	"errors"
	"io/fs"
	"slices"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// duplicates marks the entries that may be stored already and are; nil where there are none.
func (w *Writer) duplicates(entries []Entry) ([]bool, error) {
	if !slices.ContainsFunc(entries, func(e Entry) bool { return e.Again }) {
		return nil, nil
	}
	ids := make([]identity, len(entries))
	asked := map[task.Process][]uint64{}
	slots := identityKeys.NewSlots()
	for i := range entries {
		id := &ids[i]
		id.proc, id.number = identityOf(entries[i].Line, slots)
		if entries[i].Again && !id.proc.IsZero() {
			asked[id.proc] = append(asked[id.proc], id.number)
		}
	}
	known := map[identity]bool{}
	for proc, numbers := range asked {
		slices.Sort(numbers)
		if err := w.lookUp(proc, slices.Compact(numbers), func(n uint64) { known[identity{proc, n}] = true }); err != nil {
			return nil, err
		}
	}
	marks := make([]bool, len(entries))
	for i, id := range ids {
		if !id.proc.IsZero() {
			marks[i] = entries[i].Again && known[id]
			known[id] = true // for those that stand twice in this batch
		}
	}
	return marks, nil
}

type identity struct {
	proc   task.Process
	number uint64
}

// lookUp calls found for those of the sorted numbers of a process that are stored, in any file.
func (w *Writer) lookUp(proc task.Process, numbers []uint64, found func(uint64)) error {
	if err := lookUp(w.file.d, proc, numbers, found); err != nil {
		return describe(w.file.path, err)
	}
	list, err := days(w.dir)
	if err != nil {
		return err
	}
	for _, day := range list {
		if day == w.file.day {
			continue
		}
		if d := w.earlier.open(day); d != nil {
			if err := lookUp(d, proc, numbers, found); err != nil {
				w.earlier.spoil(day, err)
			}
		}
	}
	return nil
}

func lookUp(d *db, proc task.Process, numbers []uint64, found func(uint64)) error {
	first, last := int64(numbers[0]), int64(numbers[len(numbers)-1])
	row, err := d.one("SELECT 1 FROM processes WHERE proc = ? AND last >= ? AND first <= ?", procKey(proc), first, last)
	if err != nil || row == nil {
		return err
	}
	return d.query(func(row []driver.Value) error {
		return eachRun(uint64(asInt(row[0])), uint64(asInt(row[1])), asBytes(row[2]), func(from, to uint64) {
			i, _ := slices.BinarySearch(numbers, from)
			for ; i < len(numbers) && numbers[i] <= to; i++ {
				found(numbers[i])
			}
		})
	}, "SELECT first, last, runs FROM identities WHERE proc = ? AND last >= ? AND first <= ?", procKey(proc), first, last)
}

// earlier holds the files of other days open in which identities are looked up.
type earlier struct {
	dir   string
	warn  func(error)
	files map[string]*db // nil: it cannot be read, which was said
}

func newEarlier(dir string, warn func(error)) *earlier {
	return &earlier{dir: dir, warn: warn, files: map[string]*db{}}
}

func (e *earlier) open(day string) *db {
	if d, ok := e.files[day]; ok {
		return d
	}
	d, err := openRead(dayPath(e.dir, day))
	if err == nil {
		_, err = d.one("PRAGMA cache_size = -256")
	}
	switch {
	case errors.Is(err, errEmpty), errors.Is(err, fs.ErrNotExist):
		d = nil
	case err != nil:
		e.spoil(day, err)
		return nil
	}
	e.files[day] = d
	return d
}

// spoil says that what a file holds is not known, so that entries of it that come again are stored twice.
func (e *earlier) spoil(day string, err error) {
	e.forget(day)
	e.files[day] = nil
	e.warn(describe(dayPath(e.dir, day), err))
}

// forget closes a file.
func (e *earlier) forget(day string) {
	_ = e.files[day].close() // it was only read
	delete(e.files, day)
}

func (e *earlier) close() error {
	var errs []error
	for day, d := range e.files {
		errs = append(errs, d.close())
		delete(e.files, day)
	}
	return errors.Join(errs...)
}
