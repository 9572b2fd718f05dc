//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package spool

import (
	"errors"
	"io/fs"
	"os"
)

// hasModes: permission bits say who may write. removeOpen: an open file can be removed.
const (
	hasModes   = false
	removeOpen = false
)

const openFlags = 0

// tryLock fails: without a lock that dies with its process nobody could tell a dead process's files from those of a living.
func tryLock(*os.File) error { return errors.ErrUnsupported }

func ownerOf(fs.FileInfo) (int, bool) { return 0, false }

func syncDir(*os.Root) error { return nil }

func isNoSpace(error) bool { return false }

// mayWrite goes by the mode.
func mayWrite(_ string, st fs.FileInfo) bool { return st.Mode().Perm()&0o200 != 0 }
