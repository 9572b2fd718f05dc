package store

import (
	"slices"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// The keys that are looked at, and their slots.
var factKeys = entry.CompileKeys([]string{
	"level", "time", "timestamp", "error", "dlog", "dlog.trace", "dlog.pos", "dlog.path", "dlog.event", "dlog.outcome", "dlog.elapsed_ms", "dlog.started",
	"dlog.time", "dlog.errors", "dlog.stack", "dlog.caller", "dlog.func", "dlog.logger", "task_uuid", "dlog.proc", "dlog.seq",
})

const (
	slotLevel = iota
	slotTime
	slotTimestamp
	slotError
	slotMeta
	slotTrace
	slotPos
	slotPath
	slotEvent
	slotOutcome
	slotElapsed
	slotStarted
	slotMetaTime
	slotErrors
	slotStack
	slotCaller
	slotFunc
	slotLogger
	slotEliot
	slotProc
	slotSeq
)

// facts are what the store wants to know of a line.
type facts struct {
	level   entry.Level
	event   entry.Event
	outcome task.Outcome
	trace   task.Trace
	eliot   *entry.Entry
}

func (b *builder) facts(r *record, f *facts) {
	f.level = entry.None
	if v := &b.slots[slotLevel]; v.Kind == entry.String {
		f.level = levelOf(v.Text(b.text[:0]))
	}
	if r.subject.isTask {
		b.out.flags |= levelBit(f.level)
	}
	if !b.slots[slotMeta].Present() {
		if b.slots[slotEliot].Present() {
			b.eliot(r, f)
		}
		return
	}
	if v := &b.slots[slotEvent]; v.Kind == entry.String {
		f.event = eventOf(v.Text(b.text[:0]))
	}
	v := &b.slots[slotTrace]
	if v.Kind != entry.String {
		return
	}
	text := v.Text(b.text[:0])
	if t, ok := traceOf(text); ok {
		f.trace = t
		if len(v.Raw) != len(text)+2 {
			b.out.flags |= flagOddTrace
		}
	}
}

// eliot reads a line of the library Eliot, whose keys are others.
func (b *builder) eliot(r *record, f *facts) {
	e, err := entry.Parse(r.line)
	if err != nil || !tree.ReadEliot(&e) {
		return
	}
	b.out.flags |= flagOddTrace
	t, err := task.ParseTrace(e.Meta.Trace)
	if err != nil {
		return
	}
	f.eliot, f.trace, f.level, f.event, f.outcome = &e, t, e.Level, e.Meta.Event, e.Meta.Outcome
}

// traceOfLine returns the trace of a line as the index has it.
func traceOfLine(line []byte, slots entry.Slots, buf []byte) (task.Trace, bool) {
	if factKeys.Scan(line, slots) != nil {
		return task.Trace{}, false
	}
	if slots[slotMeta].Present() {
		v := &slots[slotTrace]
		if v.Kind != entry.String {
			return task.Trace{}, false
		}
		return traceOf(v.Text(buf))
	}
	if !slots[slotEliot].Present() {
		return task.Trace{}, false
	}
	e, err := entry.Parse(line)
	if err != nil || !tree.ReadEliot(&e) {
		return task.Trace{}, false
	}
	t, err := task.ParseTrace(e.Meta.Trace)
	return t, err == nil
}

// levelOf is entry.ParseLevel without a string for the usual words.
func levelOf(b []byte) entry.Level {
	for l := entry.Trace; l < entry.None; l++ {
		if string(b) == l.Token() {
			return l
		}
	}
	l, _ := entry.ParseLevel(string(b))
	return l
}

// eventOf interns the known events.
func eventOf(b []byte) entry.Event {
	for _, e := range [...]entry.Event{entry.Start, entry.End, entry.Export, entry.Birth, entry.Beat, entry.Death, entry.Gap} {
		if string(b) == string(e) {
			return e
		}
	}
	return ""
}

// traceOf is task.ParseTrace without the string that its error would need.
func traceOf(hex []byte) (t task.Trace, ok bool) {
	if len(hex) != 2*len(t) {
		return t, false
	}
	for i := range t {
		hi, lo := nibbles[hex[2*i]], nibbles[hex[2*i+1]]
		if hi|lo > 15 {
			return task.Trace{}, false
		}
		t[i] = hi<<4 | lo
	}
	return t, !t.IsZero()
}

// nibbles are the values of lower-case hex digits, 255 for all other bytes.
var nibbles = func() (t [256]byte) {
	for i := range t {
		t[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		t[c] = byte(i)
	}
	return t
}()

// addWords adds the words of a scanned line but for those that make every entry different: its time, and of "dlog" all that has an
// index. It reports whether a number has an exponent.
func addWords(set *hashSet, slots entry.Slots, line []byte) (exponent bool) {
	var cuts [3][2]int
	n := 0
	for _, slot := range [...]int{slotTime, slotTimestamp, slotMeta} {
		if v := &slots[slot]; v.Present() {
			cuts[n] = [2]int{v.At(), v.At() + len(v.Raw)}
			n++
		}
	}
	slices.SortFunc(cuts[:n], func(a, b [2]int) int { return a[0] - b[0] })
	at := 0
	for _, c := range cuts[:n] {
		exponent = set.addJSON(line[at:c[0]]) || exponent
		at = c[1]
	}
	exponent = set.addJSON(line[at:]) || exponent
	for _, slot := range [...]int{slotPath, slotErrors, slotStack, slotCaller, slotFunc, slotLogger} {
		if v := &slots[slot]; v.Present() {
			exponent = set.addJSON(v.Raw) || exponent
		}
	}
	return exponent
}
