package record

import (
	"path"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// How far above the logger the caller is looked for, and how many frames are unwound at a time: each costs about 100 ns, and the caller is among the first.
const (
	maxFrames  = 24
	someFrames = 8
)

// loggers are the packages between a log call and the writer.
var loggers = []string{
	"github.com/rs/zerolog", "github.com/rs/zerolog/log",
	"github.com/dlog-fabric/dlog/pkg/structure", "github.com/dlog-fabric/dlog/pkg/record", "github.com/dlog-fabric/dlog/pkg/dlog",
	"log", "log/slog", "log/internal", "github.com/go-logr/logr", "io", "runtime",
}

// frames finds callers. A program counter is looked up once in the life of the process: there are as many as log calls in the program's text.
type frames struct {
	skip map[string]bool
	// known maps program counters to encoded keys; an empty entry is a frame of a logger. It is copied on write, under mu.
	known atomic.Pointer[map[uintptr][]byte]
	mu    sync.Mutex
}

func (f *frames) init(wrappers []string) {
	f.skip = make(map[string]bool)
	for _, pkg := range loggers {
		f.skip[pkg] = true
	}
	for _, pkg := range wrappers {
		f.skip[pkg] = true
	}
	f.known.Store(&map[uintptr][]byte{})
}

// caller returns `,"caller":"dir/file.go:12","func":"…"` of the first frame outside of the loggers, nothing where there is none.
func (f *frames) caller() []byte {
	var pcs [someFrames]uintptr
	known := *f.known.Load()
	for skip := 3; skip < 3+maxFrames; skip += someFrames {
		n := runtime.Callers(skip, pcs[:])
		for _, pc := range pcs[:n] {
			keys, ok := known[pc]
			if !ok {
				keys = f.learn(pc)
			}
			if len(keys) > 0 {
				return keys
			}
		}
		if n < someFrames {
			break
		}
	}
	return nil
}

// learn looks a program counter up. Where calls were inlined it stands for several frames, innermost first.
func (f *frames) learn(pc uintptr) []byte {
	keys := []byte{}
	for all := runtime.CallersFrames([]uintptr{pc}); ; {
		frame, more := all.Next()
		if frame.Function != "" && !f.skip[packageOf(frame.Function)] {
			keys = entry.AppendString(append(keys, `,"caller":`...), shortFile(frame.File)+":"+strconv.Itoa(frame.Line))
			keys = entry.AppendString(append(keys, `,"func":`...), frame.Function)
			break
		}
		if !more {
			break
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	old := *f.known.Load()
	m := make(map[uintptr][]byte, len(old)+1)
	for k, v := range old {
		m[k] = v
	}
	m[pc] = keys
	f.known.Store(&m)
	return keys
}

// packageOf returns the import path in a function's full name: what stands before the first dot after the last slash.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		return function[:slash+dot]
	}
	return function
}

// shortFile returns a file with its directory: the function says the package in full, and what stands above differs from machine to machine.
func shortFile(file string) string {
	dir, base := path.Split(file)
	if dir == "" {
		return base
	}
	return path.Join(path.Base(dir), base)
}
