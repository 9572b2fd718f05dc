package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	dayForm = time.DateOnly
	suffix  = ".db"
	// lockName is the file that a writer holds locked. It needs no cleaning up.
	lockName = "lock"
)

// Day names the file that entries of this store time go to: the date in UTC.
func Day(t time.Time) string { return t.UTC().Format(dayForm) }

// days lists the days that a directory has files of, oldest first.
func days(dir string) ([]string, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range list {
		day, ok := strings.CutSuffix(e.Name(), suffix)
		if _, err := time.Parse(dayForm, day); ok && err == nil && !e.IsDir() {
			out = append(out, day)
		}
	}
	slices.Sort(out)
	return out, nil
}

func dayPath(dir, day string) string { return filepath.Join(dir, day+suffix) }

// fileSize is the size of a day's file with its log.
func fileSize(path string) int64 {
	var n int64
	for _, s := range []string{"", "-wal"} {
		if info, err := os.Stat(path + s); err == nil {
			n += info.Size()
		}
	}
	return n
}

// removeDay removes a day's file, itself first: what is left of it then is nobody's.
func removeDay(path string) error {
	var errs []error
	for _, s := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + s); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// fileState is a file's row of state.
type fileState struct {
	commits, entries, lastBlock int64
	position                    []byte
}

// readState returns the zero value for a file without a commit.
func readState(d *db) (fileState, error) {
	row, err := d.one("SELECT commits, position, entries, last_block, crc FROM state")
	if err != nil || row == nil {
		return fileState{}, err
	}
	st := fileState{commits: asInt(row[0]), position: asBytes(row[1]), entries: asInt(row[2]), lastBlock: asInt(row[3])}
	if asInt(row[4]) != st.checksum() {
		return fileState{}, damaged("the position in the stream is not what was written")
	}
	return st, nil
}

func (s fileState) checksum() int64 {
	return checksum(fmt.Sprintf("%d %s %d %d", s.commits, s.position, s.entries, s.lastBlock))
}

// openRead opens a file for reading. A file that is shorter than its header says is read as far as it goes: SQLite refuses that unless
// it is told that the reader knows what he does, which writable_schema says; nothing is written.
func openRead(path string) (*db, error) {
	d, err := openDB(path, "ro")
	if err != nil {
		return nil, err
	}
	_, err = d.one("PRAGMA writable_schema = ON")
	if err == nil {
		_, err = d.one("PRAGMA busy_timeout = 2000")
	}
	if err == nil {
		_, err = d.one("PRAGMA query_only = ON")
	}
	if err == nil {
		var v int
		if v, err = version(d, path); err == nil && v == 0 {
			err = errEmpty
		}
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// errEmpty is a file whose maker died before its tables stood.
var errEmpty = errors.New("nothing was written to it")

// describe makes an error of SQLite's about a file one clear line.
func describe(path string, err error) error {
	name := filepath.Base(path)
	switch {
	case code(err) == codeNotADB || errors.Is(err, errForeign):
		return fmt.Errorf("%s is damaged, or no file of dlog's store: %w", name, err)
	case isDamage(err):
		return fmt.Errorf("%s is damaged: %w", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}
