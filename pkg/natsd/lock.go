package natsd

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// lockName is the file in the data directory whose lock says that a server runs there. Its content, the owner's process id, is
// only for people; the operating system drops the lock with its owner, so nothing is left to clean up after a crash.
const lockName = "dlog.lock"

type dirLock struct{ file *os.File }

// lockDir creates dir if needed, checks that it can be written and locks it.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, reason(err))
	}
	f, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("data directory %s: cannot write there: %w", dir, reason(err))
	}
	if err := tryLock(f); err != nil {
		defer f.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("data directory %s: %w%s", dir, ErrInUse, owner(f))
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	// The id is a courtesy to whoever finds the directory in use; the lock holds without it.
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	return &dirLock{file: f}, nil
}

func (l *dirLock) release() { _ = l.file.Close() }

func owner(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	id := strings.TrimSpace(string(b))
	if err != nil || id == "" {
		return ""
	}
	return " (process " + id + ")"
}

// reason strips the path that os repeats in its errors.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
