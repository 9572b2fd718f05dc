package file

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// idOf is what the system knows a file by, whatever its name: the number of its inode and when that was made, since numbers are
// given again. It is empty where the file system does not keep the time.
func idOf(f *os.File) string { return statID(int(f.Fd()), "", unix.AT_EMPTY_PATH) }

// idAt is idOf for a path; a link is not followed.
func idAt(path string) string { return statID(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW) }

func statID(dir int, path string, flags int) string {
	var st unix.Statx_t
	err := unix.Statx(dir, path, flags, unix.STATX_INO|unix.STATX_BTIME, &st)
	if err != nil || st.Mask&unix.STATX_BTIME == 0 || st.Mask&unix.STATX_INO == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%d.%09d", st.Ino, st.Btime.Sec, st.Btime.Nsec)
}
