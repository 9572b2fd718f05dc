package spool

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// hasModes: permission bits say who may write. removeOpen: an open file can be removed.
const (
	hasModes   = false
	removeOpen = false
)

const openFlags = 0

// tryLock takes the lock that dies with its process; errLocked where another open file has it.
func tryLock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY,
		0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return errLocked
	}
	return os.NewSyscallError("LockFileEx", err)
}

// ownerOf has no answer: Windows has no uids, and the directory inherits the rights of the user's own.
func ownerOf(fs.FileInfo) (int, bool) { return 0, false }

// syncDir has nothing to do: NTFS journals its names.
func syncDir(*os.Root) error { return nil }

// isNoSpace says whether a disk is full.
func isNoSpace(err error) bool { return errors.Is(err, windows.ERROR_DISK_FULL) }

// mayWrite goes by the mode.
func mayWrite(_ string, st fs.FileInfo) bool { return st.Mode().Perm()&0o200 != 0 }
