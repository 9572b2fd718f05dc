package file

import (
	"io/fs"
	"os"
)

// disk makes all changes to files, one system call a method, so that tests can stop or fail between any two of them. Reading is
// nobody's business: a crash before it is one before the next change.
type disk interface {
	open(path string, flag int, mode fs.FileMode) (*os.File, error)
	write(f *os.File, b []byte) error
	sync(f *os.File) error
	truncate(f *os.File, size int64) error
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
}

// osDisk is the real one.
type osDisk struct{}

func (osDisk) open(path string, flag int, mode fs.FileMode) (*os.File, error) {
	return openFile(path, flag, mode)
}

func (osDisk) write(f *os.File, b []byte) error {
	if err := toEnd(f); err != nil {
		return err
	}
	_, err := f.Write(b)
	return err
}

func (osDisk) sync(f *os.File) error                 { return f.Sync() }
func (osDisk) truncate(f *os.File, size int64) error { return f.Truncate(size) }
func (osDisk) rename(from, to string) error          { return os.Rename(from, to) }
func (osDisk) remove(path string) error              { return os.Remove(path) }
func (osDisk) syncDir(dir string) error              { return syncDir(dir) }

// inherit gives f the mode of the file whose place it takes, and owner and group where the process may give them away.
func inherit(f *os.File, from fs.FileInfo) error {
	if err := f.Chmod(from.Mode().Perm()); err != nil {
		return err
	}
	chown(f, from)
	return nil
}
