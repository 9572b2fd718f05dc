//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package spool

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// hasModes: permission bits say who may write. removeOpen: an open file can be removed.
const (
	hasModes   = true
	removeOpen = true
)

// openFlags keep a pipe or a device in the place of a file from blocking, and refuse a symbolic link.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

// tryLock takes the lock that dies with its process; errLocked where another open file has it.
func tryLock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		default:
			return os.NewSyscallError("flock", err)
		}
	}
}

// ownerOf returns the uid of a file.
func ownerOf(st fs.FileInfo) (int, bool) {
	s, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(s.Uid), true
}

// syncDir makes new names durable.
func syncDir(root *os.Root) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// isNoSpace says whether a disk or a quota is full.
func isNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// mayWrite asks the system whether this process can make files in dir.
func mayWrite(dir string, _ fs.FileInfo) bool {
	const writeAndSearch = 2 | 1
	return unix.Faccessat(unix.AT_FDCWD, dir, writeAndSearch, unix.AT_EACCESS) == nil
}
