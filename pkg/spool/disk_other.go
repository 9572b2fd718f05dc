//go:build !linux

package spool

import "os"

// allocate takes the room of a file on the disk.
func allocate(f *os.File, size int64) error { return writeZeros(f, size) }

// disk is what a directory lies on.
type disk struct {
	name         string
	maps, memory bool
}

func diskOf(string) disk { return disk{name: "disk"} }

// openMapped is not called: no disk maps.
func openMapped(root *os.Root, fsync bool) files { return &writtenFiles{root: root, fsync: fsync} }

func memoryLimit() int64 { return 1 << 62 }
