package agent

import (
	"bytes"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// joined is an entry of text that waits for what belongs to it.
type joined struct {
	some  bool
	line  []byte // the first line; head's slices are parts of it
	size  int    // its full length, where it was cut
	head  header
	at    time.Time // when the first line was read
	rest  []byte    // further lines of the message, each with "\n" before it
	stack []byte    // lines of a stack trace, each with "\n" behind it
	from  int       // the exception of a traceback: stack[from:to]
	to    int
	alone bool // the traceback is all there is
	mode  mode
}

// mode says what the lines that follow may be.
type mode uint8

const (
	loose     mode = iota // indented lines belong to the entry
	goTrace               // a panic of Go: everything up to the next line with a header
	pyTrace               // a traceback of Python: up to the line that is not indented
	pyBetween             // behind that line: another traceback may follow
)

// blank takes an empty line: it stands within traces, and else ends what is held.
func (d *decoder) blank() {
	h := &d.held
	if !h.some || h.mode == loose || h.mode == pyTrace {
		d.flush()
		return
	}
	d.addStack(nil)
}

// text takes a line that is neither JSON nor logfmt.
func (d *decoder) text(line []byte, size int) {
	head := d.header(line)
	if d.held.some && size == 0 && d.continues(&head, d.spare) {
		return
	}
	d.flush()
	h := &d.held
	h.line, d.spare = d.spare, h.line
	h.some, h.size, h.head, h.at = true, size, head, d.cal.now()
	h.rest, h.stack, h.from, h.to, h.alone, h.mode = h.rest[:0], h.stack[:0], 0, 0, false, modeOf(head.message)
	if size > 0 {
		h.size = max(size, len(h.line))
	}
	if head.known() {
		return
	}
	switch {
	case h.mode == pyTrace:
		d.addStack(h.line)
		h.alone = true
	case bytes.HasPrefix(h.line, []byte("fatal error: ")):
		h.head.grade = grade{entry.Fatal, true}
	case bytes.HasPrefix(h.line, []byte("Exception in thread ")):
		h.head.grade = grade{entry.Error, true}
	}
}

// header copies the line to spare and reads its header. Colours go where there is one; a line without stays as it is.
func (d *decoder) header(line []byte) header {
	if bytes.IndexByte(line, 0x1b) < 0 {
		d.spare = append(d.spare[:0], line...)
		return d.cal.read(d.spare)
	}
	d.spare = stripColour(d.spare[:0], line)
	if head := d.cal.read(d.spare); head.known() {
		return head
	}
	d.spare = append(d.spare[:0], line...)
	return header{grade: noGrade, message: d.spare}
}

var (
	goPanic    = []byte("panic: ")
	goFatal    = []byte("fatal error: ")
	goRoutine  = []byte("goroutine ")
	pyHead     = []byte("Traceback (most recent call last):")
	pyCause    = []byte("The above exception was the direct cause of the following exception:")
	pyContext  = []byte("During handling of the above exception, another exception occurred:")
	javaCause  = []byte("Caused by: ")
	frameAt    = []byte("at ")
	frameFile  = []byte(`File "`)
	framesMore = []byte("... ")
)

// modeOf says what follows a first line.
func modeOf(line []byte) mode {
	switch {
	case bytes.HasPrefix(line, goPanic), bytes.HasPrefix(line, goFatal), isGoroutine(line):
		return goTrace
	case bytes.HasPrefix(line, pyHead):
		return pyTrace
	}
	return loose
}

func isGoroutine(line []byte) bool {
	return bytes.HasPrefix(line, goRoutine) && len(line) > len(goRoutine) && isDigit(line[len(goRoutine)]) && bytes.HasSuffix(line, []byte("]:"))
}

// continues gives a line to the entry that is held, if it belongs there.
func (d *decoder) continues(head *header, line []byte) bool {
	h := &d.held
	if head.timed || len(h.rest)+len(h.stack)+len(line) > maxRest {
		return false
	}
	indented := line[0] == ' ' || line[0] == '\t'
	switch h.mode {
	case goTrace:
		if head.known() && !indented {
			return false
		}
		d.addStack(line)
		return true
	case pyTrace:
		if !indented {
			h.from, h.to, h.mode = len(h.stack), len(h.stack)+len(line), pyBetween
		}
		d.addStack(line)
		return true
	case pyBetween:
		return d.between(line)
	}
	return d.loosely(head, line, indented)
}

// between takes what joins two tracebacks of Python.
func (d *decoder) between(line []byte) bool {
	h := &d.held
	switch {
	case bytes.HasPrefix(line, pyHead):
		h.mode = pyTrace
	case bytes.Equal(line, pyCause), bytes.Equal(line, pyContext):
	default:
		return false
	}
	d.addStack(line)
	return true
}

func (d *decoder) loosely(head *header, line []byte, indented bool) bool {
	h := &d.held
	bare := bytes.TrimLeft(line, " \t")
	switch {
	case bytes.HasPrefix(line, pyHead):
		if !h.bad() {
			return false
		}
		h.mode = pyTrace
	case isGoroutine(line):
		h.mode = goTrace
	case head.known():
		return false
	case bytes.HasPrefix(line, javaCause):
	case h.bad() && len(h.stack) == 0 && isException(line):
		h.from, h.to = 0, len(line)
	case indented && (len(h.stack) > 0 || bytes.HasPrefix(bare, frameAt) || bytes.HasPrefix(bare, framesMore) || bytes.HasPrefix(bare, frameFile)):
	case indented:
		h.rest = append(append(h.rest, '\n'), line...)
		return true
	case h.head.timed && h.bad() && isGoFunction(line): // zap's stack traces on a terminal
	default:
		return false
	}
	d.addStack(line)
	return true
}

// bad reports whether the held entry is one that a stack trace may follow.
func (h *joined) bad() bool {
	return h.head.grade.level >= entry.Error && h.head.grade.level != entry.None
}

// isGoFunction reports whether a line may be a function in a stack trace: main.(*Server).run.
func isGoFunction(line []byte) bool {
	return len(line) < 512 && bytes.IndexByte(line, '.') > 0 && !bytes.ContainsAny(line, " \t:=")
}

// isException reports whether a line names an exception as Java does: java.io.IOException: closed.
func isException(line []byte) bool {
	name, _, _ := bytes.Cut(line, []byte(":"))
	if bytes.IndexByte(name, '.') < 0 || bytes.ContainsAny(name, " \t") {
		return false
	}
	return bytes.HasSuffix(name, []byte("Exception")) || bytes.HasSuffix(name, []byte("Error")) || bytes.HasSuffix(name, []byte("Throwable"))
}

func (d *decoder) addStack(line []byte) {
	d.held.stack = append(append(d.held.stack, line...), '\n')
}

// flush hands on what is held.
func (d *decoder) flush() {
	if !d.held.some {
		return
	}
	d.held.some = false
	if h := &d.held.head; len(d.held.stack) > 0 && h.grade.level == entry.None && !h.timed {
		h.grade = grade{entry.Error, true} // who prints a stack trace is in trouble
	}
	d.heldRec = draft{level: d.held.head.grade.level, keys: d.heldRec.keys[:0]}
	d.build(&d.heldRec)
}

// build makes the draft of what was held.
func (d *decoder) build(r *draft) {
	h, p := &d.held, &d.pack
	p.begin()
	p.level(h.head.grade, h.head.word)
	if h.head.timed {
		p.time(h.head.at)
	} else {
		r.keys = appendTimeKey(r.keys, h.at)
	}
	if len(h.head.pid) > 0 {
		p.name("pid")
		p.number(h.head.pid)
	}
	stack := bytes.TrimRight(h.stack, "\n")
	if h.to > h.from && !h.alone {
		p.name("error")
		p.text(h.stack[h.from:h.to])
	}
	d.message()
	r.keys = appendTextKey(r.keys, "logger", h.head.logger)
	r.keys = appendTextKey(r.keys, "caller", h.head.caller)
	r.keys = appendTextKey(r.keys, "stack", stack)
	d.finish(r, h.size, len(h.line))
}

// message writes the message of what was held: of a traceback that stands alone it is the exception.
func (d *decoder) message() {
	h, p := &d.held, &d.pack
	switch {
	case h.head.klog && len(h.rest) == 0 && d.klogPairs():
	case h.alone && h.to > h.from:
		p.message(h.stack[h.from:h.to])
	case len(h.rest) == 0 && len(h.head.groups) == 0:
		p.message(h.head.message)
	default:
		d.whole = append(d.whole[:0], h.head.groups...)
		if len(d.whole) > 0 {
			d.whole = append(d.whole, ' ')
		}
		d.whole = append(append(d.whole, h.head.message...), h.rest...)
		p.message(d.whole)
	}
}

// klogPairs writes what klog's InfoS and ErrorS say: a message in quotes and pairs.
func (d *decoder) klogPairs() bool {
	text := d.held.head.message
	if len(text) < 2 || text[0] != '"' {
		return false
	}
	f := &d.logfmt
	var rest []byte
	var ok bool
	if d.whole, rest, ok = unquote(d.whole[:0], text); !ok || !f.pairsOnly(rest) {
		return false
	}
	d.pack.message(d.whole)
	if inside := f.body[1:]; len(inside) > 0 {
		d.pack.b = append(append(d.pack.b, ','), inside...)
	}
	return true
}

func appendTextKey(dst []byte, name string, text []byte) []byte {
	if len(text) == 0 {
		return dst
	}
	return appendQuoted(appendName(append(dst, ','), name), text)
}
