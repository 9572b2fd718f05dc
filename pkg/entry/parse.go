package entry

import (
	"fmt"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// Entry is a line as readers see it. The strings are its own; Raw shares the line's memory.
type Entry struct {
	Raw     []byte    // the line without white space around it
	Level   Level     // of the key "level"; None where it is absent or unknown
	Time    time.Time // in UTC; zero where the line has none that can be read
	Message string    // of "message", else of "msg"
	Error   string    // of "error": the text, or the JSON where it is no string

	Meta    Meta
	HasMeta bool   // the line has a "dlog" key that can be believed in form
	MetaErr string // why the "dlog" key that the line has cannot
}

// The slots of lineKeys.
const (
	slotLevel = iota
	slotTime
	slotTimestamp
	slotMessage
	slotMsg
	slotError
	slotMeta
	slotCount
)

var lineKeys = CompileKeys([]string{"level", "time", "timestamp", "message", "msg", "error", Key})

// Parse reads a line. The error, a *LineError, says that the line is no JSON object at all;
// whatever its fields hold is no error. Time may be RFC 3339 text or a number of seconds,
// milliseconds, microseconds or nanoseconds since 1970 (told apart by their size, see
// ParseTime), under "time", else "timestamp" (Eliot), else "dlog.time".
func Parse(line []byte) (Entry, error) {
	var v [slotCount]Value
	if err := lineKeys.Scan(line, v[:]); err != nil {
		return Entry{}, err
	}
	e := Entry{Raw: trim(line), Level: levelOf(v[slotLevel])}
	e.Message = textOf(v[slotMessage])
	if !v[slotMessage].Present() {
		e.Message = textOf(v[slotMsg])
	}
	e.Error = textOf(v[slotError])
	if v[slotMeta].Present() {
		e.setMeta(v[slotMeta])
	}
	e.Time = firstTime(v[slotTime], v[slotTimestamp], e.Meta.Time)
	return e, nil
}

func (e *Entry) setMeta(v Value) {
	m, err := parseMetaValue(v)
	if err != nil {
		e.MetaErr = err.Error()
		return
	}
	e.Meta, e.HasMeta = m, true
}

// Field returns the last value under a dotted key, and whether there is one. See CompileKeys
// for what the dots mean.
func (e *Entry) Field(path string) (Value, bool) { return Lookup(e.Raw, path) }

// InTask reports whether the entry belongs to a task.
func (e *Entry) InTask() bool { return e.HasMeta && e.Meta.Pos != "" }

// Pos returns the entry's position, "" outside of any task.
func (e *Entry) Pos() task.Position { return task.Position(e.Meta.Pos) }

func trim(line []byte) []byte {
	line = line[:trimEnd(line, len(line))]
	for len(line) > 0 && line[0] != '{' { // Scan has seen that only white space is before it
		line = line[1:]
	}
	return line
}

func levelOf(v Value) Level {
	if v.Kind != String {
		return None
	}
	var buf [16]byte
	l, _ := parseLevel(v.Text(buf[:]))
	return l
}

// textOf returns a value as text: null as "".
func textOf(v Value) string {
	if v.Kind == Null {
		return ""
	}
	return string(v.Text(nil))
}

func firstTime(time1, timestamp Value, meta string) time.Time {
	for _, v := range [...]Value{time1, timestamp} {
		if t, ok := v.Time(); ok {
			return t
		}
	}
	t, _ := ParseTime(meta)
	return t
}

func parseMetaValue(v Value) (Meta, error) {
	if v.Kind != Object {
		return Meta{}, fmt.Errorf("read dlog: %w", errNoObject)
	}
	return parseMeta(v.Raw)
}
