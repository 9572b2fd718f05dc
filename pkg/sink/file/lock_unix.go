//go:build unix

package file

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

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
