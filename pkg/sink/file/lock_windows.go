package file

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

// tryLock locks the file until it is closed or the process ends.
func tryLock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return sink.ErrInUse
	}
	return err
}

// syncDir does nothing: Windows has no sync of a directory, and journals renames.
func syncDir(string) error { return nil }
