package view

import (
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// Of a stack so much is shown unless all is asked for: frames of the program in
// a stack of Go's, lines of any other.
const (
	mostFrames = 6
	mostLines  = 16
)

// stack writes the stack of a panic: of Go's the frames of the program itself,
// one line each, since the others are the same in every panic.
func (d *drawing) stack(end *entry.Entry) {
	text := strings.TrimSpace(end.Meta.Stack)
	frames, others, ok := goFrames(text)
	if d.o.All || !ok {
		d.stackLines(strings.Split(text, "\n"))
		return
	}
	for i, f := range frames {
		if i == mostFrames {
			others += len(frames) - mostFrames
			break
		}
		d.text(none, "    "+f.call)
		d.text(dim, "  "+f.at)
		d.line()
	}
	if others > 0 {
		d.text(dim, "    … "+many(uint64(others), "frame", "frames")+" more")
		d.line()
	}
}

// stackLines writes a stack as it is.
func (d *drawing) stackLines(lines []string) {
	for i, line := range lines {
		if line == "" {
			continue
		}
		if i == mostLines && !d.o.All {
			d.text(dim, "    … "+many(uint64(len(lines)-mostLines), "line", "lines")+" more")
			d.line()
			return
		}
		d.text(dim, "    "+strings.ReplaceAll(line, "\t", "    "))
		d.line()
	}
}

// goFrame is a call in a stack.
type goFrame struct{ call, at string }

// goFrames reads what debug.Stack writes: the frames of the program and how many
// others there are. It reports false for any other text, and where no frame is
// the program's.
func goFrames(text string) (frames []goFrame, others int, ok bool) {
	lines := strings.Split(text, "\n")
	if !strings.HasPrefix(text, "goroutine ") || len(lines)%2 == 0 {
		return nil, 0, false
	}
	for i := 1; i < len(lines); i += 2 {
		call, at := lines[i], strings.TrimPrefix(lines[i+1], "\t")
		if len(at) == len(lines[i+1]) {
			return nil, 0, false
		}
		if everyonesFrame(call) {
			others++
			continue
		}
		if open := strings.LastIndexByte(call, '('); open > 0 {
			call = call[:open] // the arguments are addresses
		}
		at, _, _ = strings.Cut(at, " +0x")
		frames = append(frames, goFrame{call, at})
	}
	return frames, others, len(frames) > 0
}

// everyonesFrame reports whether a call is one of those that lead to every
// handler and every panic.
func everyonesFrame(call string) bool {
	for _, prefix := range []string{"panic(", "runtime.", "runtime/", "net/http.", "testing.", "created by ", "github.com/dlog-fabric/dlog/pkg/"} {
		if strings.HasPrefix(call, prefix) {
			return true
		}
	}
	return false
}
