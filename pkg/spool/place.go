package spool

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Site is where Place found room for spools.
type Site struct {
	Dir    string // for Config.Dir; "" is memory
	Source string // what named it: "DLOG_SPOOL", "STATE_DIRECTORY", "XDG_STATE_HOME", or the directory itself
	Text   string // what un-sent entries outlive there, in one line
}

// Place finds where this process's spool belongs, the first of
//
//   - DLOG_SPOOL, whatever it names; "memory" and "none" keep entries in memory,
//   - dlog below STATE_DIRECTORY, which systemd sets (the first, where there are several),
//   - /var/lib/dlog/spool and /run/dlog/spool, where one is there (dlog-agent's package, or a volume, makes them),
//   - dlog below XDG_STATE_HOME,
//
// that this process can write to; memory otherwise. A DLOG_SPOOL that cannot be written is still the answer: Open then says why
// not. Place looks only; nothing is made.
func Place(getenv func(string) string) Site {
	return place(getenv, "/var/lib/dlog/spool", "/run/dlog/spool")
}

func place(getenv func(string) string, shared ...string) Site {
	switch dir := getenv("DLOG_SPOOL"); dir {
	case "":
	case "memory", "none":
		return Site{Source: "DLOG_SPOOL", Text: memoryText}
	default:
		return site(dir, "DLOG_SPOOL")
	}
	if first, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), string(os.PathListSeparator)); first != "" {
		if dir := filepath.Join(first, "dlog"); existing(first) == filepath.Clean(first) && writable(dir) {
			return site(dir, "STATE_DIRECTORY")
		}
	}
	for _, dir := range shared {
		if st, err := os.Stat(dir); err == nil && st.IsDir() && writable(dir) {
			return site(dir, dir)
		}
	}
	if home := getenv("XDG_STATE_HOME"); filepath.IsAbs(home) {
		if dir := filepath.Join(home, "dlog"); writable(dir) {
			return site(dir, "XDG_STATE_HOME")
		}
	}
	return Site{Source: "no directory that can be written", Text: memoryText}
}

const memoryText = "un-sent entries are lost with the process"

func site(dir, source string) Site {
	return Site{Dir: dir, Source: source, Text: diskOf(existing(dir)).survives(false)}
}

// writable says whether dir is there and can be written, or could be made.
func writable(dir string) bool {
	found := existing(dir)
	st, err := os.Stat(found)
	return err == nil && st.IsDir() && mayWrite(found, st)
}

// existing returns dir or the nearest directory above it that exists.
func existing(dir string) string {
	dir = filepath.Clean(dir)
	for {
		if _, err := os.Stat(dir); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir
		}
		dir = up
	}
}

// bytesOfDead sums the sizes of what dead processes left below dir, as far as it can be told: those of other users count where
// they can be looked into.
func bytesOfDead(dir string) (sum int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); isProcessName(e.Name()) && e.IsDir() && isDead(path) {
			sum += bytesIn(path)
		}
	}
	return sum
}

// isDead: nobody holds the lock, or an adopter does.
func isDead(path string) bool {
	if _, err := os.Lstat(filepath.Join(path, adoptedFile)); err == nil {
		return true
	}
	if _, err := os.Lstat(filepath.Join(path, headFile)); err != nil {
		return false // its process may be about to take the lock
	}
	name := filepath.Join(path, lockFile)
	st, err := os.Lstat(name)
	if err != nil || !st.Mode().IsRegular() {
		return false
	}
	f, err := os.OpenFile(name, os.O_RDWR|openFlags, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return tryLock(f) == nil
}

func bytesIn(path string) (sum int64) {
	// What cannot be looked at is not counted.
	_ = filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if st, err := e.Info(); err == nil {
				sum += st.Size()
			}
		}
		return nil
	})
	return sum
}
