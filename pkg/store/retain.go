package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// retainEvery is how often a writer looks at its directory.
const retainEvery = time.Minute

// keep removes what is too old or too much, from time to time. What fails is tried again; the entries that came are stored.
func (w *Writer) keep() {
	now := w.cfg.Now()
	if now.Sub(w.checked) < retainEvery && !w.checked.IsZero() {
		return
	}
	w.checked = now
	if err := w.retain(now); err != nil {
		w.cfg.Warn(fmt.Errorf("clear up store %s: %w", w.dir, err))
	}
}

func (w *Writer) retain(now time.Time) error {
	list, err := days(w.dir)
	if err != nil {
		return err
	}
	var total int64
	for _, day := range list {
		total += fileSize(dayPath(w.dir, day))
	}
	var errs []error
	for _, day := range list {
		if day == w.file.day {
			continue // it holds the position
		}
		path := dayPath(w.dir, day)
		if !w.old(day, now) && !w.tooMuch(total) {
			errs = append(errs, w.sealed(day, path))
			continue
		}
		size := fileSize(path)
		w.earlier.forget(day)
		if err := removeDay(path); err != nil {
			errs = append(errs, err)
			continue
		}
		total -= size
	}
	return errors.Join(errs...)
}

func (w *Writer) old(day string, now time.Time) bool {
	begin, err := time.Parse(dayForm, day)
	return err == nil && w.cfg.MaxAge > 0 && now.Sub(begin.AddDate(0, 0, 1)) > w.cfg.MaxAge
}

func (w *Writer) tooMuch(total int64) bool { return w.cfg.MaxBytes > 0 && total > w.cfg.MaxBytes }

// sealed finishes a file whose writer was killed, or whose readers were in the way.
func (w *Writer) sealed(day, path string) error {
	if _, err := os.Stat(path + "-wal"); err != nil {
		return nil
	}
	w.earlier.forget(day)
	d, err := openDB(path, "rw")
	if err == nil {
		err = sealDB(d)
		if e := d.close(); err == nil {
			err = e
		}
	}
	if err == nil || code(err) == codeBusy || isDamage(err) { // damage was said when the store was opened
		return nil
	}
	return fmt.Errorf("%s: %w", filepath.Base(path), err)
}
