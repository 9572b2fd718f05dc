package spool

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// allocate takes the room of a file on the disk.
func allocate(f *os.File, size int64) error {
	err := retryInterrupted(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return writeZeros(f, size)
	}
	return os.NewSyscallError("fallocate", err)
}

// disk is what a directory lies on.
type disk struct {
	name string // as people call it
	// maps: the blocks that fallocate took are certain for every later write. On file systems that write elsewhere at each
	// change (btrfs, zfs, f2fs), and on those that may lie on one (overlay) or beyond a network, a mapped write can still
	// find the disk full, which ends the process; there files are written.
	maps   bool
	memory bool // lost with the machine's power
}

var disks = map[uint32]disk{
	unix.EXT4_SUPER_MAGIC:      {name: "ext4", maps: true},
	unix.XFS_SUPER_MAGIC:       {name: "xfs", maps: true},
	unix.TMPFS_MAGIC:           {name: "tmpfs", maps: true, memory: true},
	unix.RAMFS_MAGIC:           {name: "ramfs", memory: true},
	unix.BTRFS_SUPER_MAGIC:     {name: "btrfs"},
	unix.F2FS_SUPER_MAGIC:      {name: "f2fs"},
	unix.OVERLAYFS_SUPER_MAGIC: {name: "overlay"},
	unix.NFS_SUPER_MAGIC:       {name: "nfs"},
	unix.SMB2_SUPER_MAGIC:      {name: "smb"},
	unix.FUSE_SUPER_MAGIC:      {name: "fuse"},
	unix.V9FS_MAGIC:            {name: "9p"},
}

func diskOf(dir string) disk {
	var st unix.Statfs_t
	if err := retryInterrupted(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return disk{name: "unknown file system"}
	}
	d, ok := disks[uint32(st.Type)]
	if !ok {
		return disk{name: "file system " + strconv.FormatUint(uint64(uint32(st.Type)), 16)}
	}
	return d
}

// openMapped returns the way to keep files that are mapped.
func openMapped(root *os.Root, fsync bool) files { return &mappedFiles{root: root, fsync: fsync} }

// memoryLimit returns the memory that the process's cgroup may use, or the machine has.
func memoryLimit() int64 {
	limit := machineMemory()
	data, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(data)) {
		part := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(part) != 3 {
			continue
		}
		switch {
		case part[0] == "0":
			limit = lowestLimit(limit, "/sys/fs/cgroup", part[2], "memory.max")
		case strings.Contains(","+part[1]+",", ",memory,"):
			limit = lowestLimit(limit, "/sys/fs/cgroup/memory", part[2], "memory.limit_in_bytes")
		}
	}
	return limit
}

// lowestLimit looks at a cgroup and those above it. Within a container the path may be one of the host, where nothing is found
// but the root's own file: that is the container's.
func lowestLimit(limit int64, root, path, file string) int64 {
	for {
		data, err := os.ReadFile(root + path + "/" + file)
		if n, bad := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil && bad == nil && n > 0 {
			limit = min(limit, n)
		}
		if path == "" {
			return limit
		}
		path = path[:max(strings.LastIndexByte(path, '/'), 0)]
	}
}

func machineMemory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 1 << 30
	}
	return int64(uint64(info.Totalram) * uint64(info.Unit))
}
