//go:build unix

package file

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

// errQuota is the other error of a full disk.
const errQuota = syscall.EDQUOT

// tryLock locks the file until it is closed or the process ends.
func tryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return sink.ErrInUse
	}
	return err
}

// syncDir makes a rename within the directory survive a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func openFile(path string, flag int, mode fs.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag, mode)
}

// chown gives f the owner and group of another file, if it may: an unprivileged process may give a group that it is in.
func chown(f *os.File, from fs.FileInfo) {
	if st, ok := from.Sys().(*syscall.Stat_t); ok {
		if f.Chown(int(st.Uid), int(st.Gid)) != nil {
			_ = f.Chown(-1, int(st.Gid)) // the file is the process's own then, which is no reason to stop
		}
	}
}

// toEnd has nothing to do: files are opened for appending.
func toEnd(*os.File) error { return nil }
