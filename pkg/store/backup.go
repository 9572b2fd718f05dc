package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Backup copies a store to another directory while it is written to. The copy holds a position and all entries up to it; to restore it, stop the
// writer and copy its files back. Files that stand in the other directory under the same names are replaced, each as a whole; files of days that
// the store does not hold any more stay. It returns the names of the files written, the newest first.
//
// A damaged file is not copied over a good copy: the error names it, all others are copied.
func Backup(ctx context.Context, dir, to string) ([]string, error) {
	if err := os.MkdirAll(to, 0o750); err != nil {
		return nil, fmt.Errorf("back up store: %w", err)
	}
	list, err := days(dir)
	if err != nil {
		return nil, fmt.Errorf("back up store: %w", err)
	}
	if same(dir, to) {
		return nil, fmt.Errorf("back up store: %s is the store itself", to)
	}
	var done []string
	var errs []error
	// The newest file holds the position, so it goes first: what the others gain afterwards may be more than it speaks of, never less.
	for i := len(list) - 1; i >= 0; i-- {
		if ctx.Err() != nil {
			errs = append(errs, context.Cause(ctx))
			break
		}
		name := list[i] + suffix
		switch err := backupFile(filepath.Join(dir, name), filepath.Join(to, name)); {
		case errors.Is(err, errEmpty):
		case err != nil:
			errs = append(errs, err)
		default:
			done = append(done, name)
		}
	}
	if err := errors.Join(append(errs, syncDir(to))...); err != nil {
		return done, fmt.Errorf("back up store: %w", err)
	}
	return done, nil
}

func same(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// backupFile makes a compact copy of one moment of a file.
func backupFile(from, to string) (err error) {
	d, err := openDB(from, "ro")
	if err != nil {
		return describe(from, err)
	}
	defer func() {
		if e := d.close(); err == nil {
			err = e
		}
	}()
	v, err := version(d, from)
	if err != nil {
		return describe(from, err)
	}
	if v == 0 {
		return errEmpty
	}
	part := to + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := d.exec("VACUUM INTO ?", part); err != nil {
		return errors.Join(describe(from, err), os.Remove(part))
	}
	if err := syncFile(part); err != nil {
		return err
	}
	// A log of the file that is replaced must not be taken for one of the copy.
	for _, s := range []string{"-wal", "-shm"} {
		if err := os.Remove(to + s); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(part, to)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
