package entry

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// Key is the one key that dlog adds to a line.
const Key = "dlog"

// Event says what an entry of dlog's own is about; "" on what the user said.
type Event string

// The events. Start, End and Export frame a task; Birth, Beat and Death a process; Gap says
// that entries are gone.
const (
	Start  Event = "start"
	End    Event = "end"
	Export Event = "export"
	Birth  Event = "birth"
	Beat   Event = "beat"
	Death  Event = "death"
	Gap    Event = "gap"
)

// Meta is what the "dlog" key holds. Zero fields are not written; Seq is written wherever
// Proc is.
type Meta struct {
	Svc   string // the service as it calls itself; the subject's goes before
	Trace string // 32 lower-case hex digits; with Pos, or neither is there
	Path  string // as pkg/task writes paths
	Pos   string // position of the entry, never ""
	Proc  string // 16 lower-case hex digits
	Seq   uint64 // counts the entries of the process; (Proc, Seq) is the entry's identity

	Event      Event
	Outcome    task.Outcome // on an end
	ElapsedMS  float64      // milliseconds, on an end; counts where HasElapsed
	HasElapsed bool
	N          uint64      // on an end: its own number, so the number of the task's positions
	Errors     []ErrorInfo // the unwrapped chain, outermost first
	Stack      string
	Links      []string // tokens or traces of related tasks
	Caller     string   // file:line
	Func       string
	Logger     string
	Cut        string            // what CutLine shortened
	Started    string            // RFC 3339, on an end
	Refused    map[string]uint64 // entries that were refused, by level, on an end or death
	Late       bool              // said after the task's end
	Time       string            // RFC 3339, where the line has no time of its own

	Other map[string]json.RawMessage // keys that this version does not know, kept as they are
}

// ErrorInfo is one error of a chain.
type ErrorInfo struct {
	Type string // of the Go value, as %T prints it
	Text string
}

// AppendMeta appends the object that stands under the key "dlog", keys in the order of the
// fields of Meta, Other last and sorted. It does not allocate where dst has room and Other is
// nil. Numbers that JSON cannot hold (NaN, infinity) are left out.
func AppendMeta(dst []byte, m Meta) []byte {
	o := object{b: append(dst, '{'), empty: true}
	o.text("svc", m.Svc)
	o.text("trace", m.Trace)
	o.text("path", m.Path)
	o.text("pos", m.Pos)
	o.text("proc", m.Proc)
	if m.Proc != "" || m.Seq != 0 {
		o.uint("seq", m.Seq)
	}
	o.text("event", string(m.Event))
	o.text("outcome", string(m.Outcome))
	if m.HasElapsed && !math.IsNaN(m.ElapsedMS) && !math.IsInf(m.ElapsedMS, 0) {
		o.float("elapsed_ms", m.ElapsedMS)
	}
	if m.N != 0 {
		o.uint("n", m.N)
	}
	o.errors(m.Errors)
	o.text("stack", m.Stack)
	o.texts("links", m.Links)
	o.text("caller", m.Caller)
	o.text("func", m.Func)
	o.text("logger", m.Logger)
	o.text("cut", m.Cut)
	o.text("started", m.Started)
	o.refused(m.Refused)
	if m.Late {
		o.key("late")
		o.b = append(o.b, "true"...)
	}
	o.text("time", m.Time)
	if len(m.Other) > 0 {
		o.other(m.Other)
	}
	return append(o.b, '}')
}

// AppendLine appends the line with the key "dlog" as its last one, without a newline. It
// looks at the line's end only: false, and dst as it was, where that is not the end of an
// object. A line with a "dlog" key already gets a second one, which counts.
func AppendLine(dst, line []byte, m Meta) ([]byte, bool) {
	end := trimEnd(line, len(line))
	if end < 2 || line[end-1] != '}' {
		return dst, false
	}
	body := trimEnd(line, end-1)
	if body == 0 {
		return dst, false
	}
	dst = append(dst, line[:body]...)
	if line[body-1] != '{' {
		dst = append(dst, ',')
	}
	dst = AppendMeta(append(dst, `"dlog":`...), m)
	return append(dst, '}'), true
}

// trimEnd returns end without the white space before it.
func trimEnd(line []byte, end int) int {
	for end > 0 {
		switch line[end-1] {
		case ' ', '\t', '\n', '\r':
			end--
		default:
			return end
		}
	}
	return end
}

// object appends the members of a JSON object, leaving out what is zero.
type object struct {
	b     []byte
	empty bool
}

// key appends a name of this package's own, which needs no escaping.
func (o *object) key(name string) {
	if !o.empty {
		o.b = append(o.b, ',')
	}
	o.empty = false
	o.b = append(append(append(o.b, '"'), name...), '"', ':')
}

func (o *object) text(name, value string) {
	if value != "" {
		o.key(name)
		o.b = AppendString(o.b, value)
	}
}

func (o *object) uint(name string, n uint64) {
	o.key(name)
	o.b = strconv.AppendUint(o.b, n, 10)
}

func (o *object) float(name string, f float64) {
	format := byte('f')
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) { // as encoding/json does
		format = 'e'
	}
	o.key(name)
	o.b = strconv.AppendFloat(o.b, f, format, -1, 64)
}

func (o *object) texts(name string, values []string) {
	if len(values) == 0 {
		return
	}
	o.key(name)
	for i, v := range values {
		o.b = AppendString(append(o.b, "[,"[min(i, 1)]), v)
	}
	o.b = append(o.b, ']')
}

func (o *object) errors(chain []ErrorInfo) {
	if len(chain) == 0 {
		return
	}
	o.key("errors")
	for i, e := range chain {
		o.b = append(o.b, "[,"[min(i, 1)])
		o.b = AppendString(append(o.b, `{"type":`...), e.Type)
		o.b = AppendString(append(o.b, `,"text":`...), e.Text)
		o.b = append(o.b, '}')
	}
	o.b = append(o.b, ']')
}

// refused writes the levels in their order, then any other key.
func (o *object) refused(counts map[string]uint64) {
	if len(counts) == 0 {
		return
	}
	o.key("refused")
	in := object{b: append(o.b, '{'), empty: true}
	known := 0
	for _, name := range levelNames {
		if n, ok := counts[name]; ok {
			in.uint(name, n)
			known++
		}
	}
	if known < len(counts) {
		in.otherCounts(counts)
	}
	o.b = append(in.b, '}')
}

func (o *object) otherCounts(counts map[string]uint64) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		if slices.Contains(levelNames[:], name) {
			continue
		}
		o.foreignKey(name)
		o.b = strconv.AppendUint(o.b, counts[name], 10)
	}
}

func (o *object) other(values map[string]json.RawMessage) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if slices.Contains(metaNames, name) || Valid(wrapped(values[name])) != nil {
			continue
		}
		o.foreignKey(name)
		o.b = append(o.b, values[name]...)
	}
}

// wrapped makes a line of a value, to check it.
func wrapped(value []byte) []byte {
	return append(append([]byte(`{"":`), value...), '}')
}

func (o *object) foreignKey(name string) {
	if !o.empty {
		o.b = append(o.b, ',')
	}
	o.empty = false
	o.b = append(AppendString(o.b, name), ':')
}
