package agent

import (
	"bytes"
	"slices"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// The names under which programs keep level, time and message, those that mean nothing else first. They are the ones of zerolog, slog, zap,
// pino, bunyan, winston, logrus, Python's logging and structlog, hclog, log15, ECS, GELF, journald, Google Cloud and .NET.
var (
	levelNames   = []string{"level", "severity", "levelname", "log.level", "@level", "lvl", "loglevel", "Level", "LogLevel", "PRIORITY", "levelno"}
	timeNames    = []string{"time", "timestamp", "ts", "@timestamp", "asctime", "datetime", "Timestamp", "t", "__REALTIME_TIMESTAMP", "created"}
	messageNames = []string{"message", "msg", "@message", "MESSAGE", "short_message", "Message", "event"}
)

// The slots of jsonKeys behind those of the three lists.
const (
	slotDlog = iota
	slotUUID
	slotTaskLevel
	slotStream
	slotSeverityText
	otherSlots
)

var jsonKeys = entry.CompileKeys(slices.Concat(levelNames, timeNames, messageNames,
	[]string{slotDlog: entry.Key, slotUUID: "task_uuid", slotTaskLevel: "task_level", slotStream: streamKey, slotSeverityText: severityKey}))

const (
	streamKey   = "stream"
	severityKey = "severity_text"
)

// jsonScan is one JSON line and what is to be changed in it.
type jsonScan struct {
	slots   []entry.Value
	levels  []entry.Value
	times   []entry.Value
	message []entry.Value
	other   []entry.Value

	edits [3]edit
	count int
	more  []byte    // members for the end: `,"key":value`
	value [2][]byte // level and time as they will stand
	word  [128]byte // text that is looked at
	buf   []byte    // the line anew
}

// edit puts a value, and a name where that is not "", in the place of the bytes from..to.
type edit struct {
	from, to int
	name     string
	value    []byte
}

func newJSONScan() *jsonScan {
	s := &jsonScan{slots: jsonKeys.NewSlots()}
	n := 0
	part := func(size int) []entry.Value { n += size; return s.slots[n-size : n] }
	s.levels, s.times, s.message, s.other = part(len(levelNames)), part(len(timeNames)), part(len(messageNames)), part(otherSlots)
	return s
}

// scan reads the line and reports whether it is one JSON object.
func (s *jsonScan) scan(line []byte) bool {
	s.count, s.more = 0, s.more[:0]
	return jsonKeys.Scan(line, s.slots) == nil
}

// normalise fills the draft: level, time and message under their usual names, all else as it is. field is one more member for the line.
func (s *jsonScan) normalise(r *draft, line []byte, cal *calendar, field []byte) {
	s.level(r, line)
	s.time(r, line, cal)
	s.text(r, line)
	if len(field) > 0 && !s.other[slotStream].Present() {
		s.more = append(s.more, field...)
	}
	r.body = s.apply(line)
}

// level finds the level. Where its name is not "level" it gets that name.
func (s *jsonScan) level(r *draft, line []byte) {
	g, at := s.findLevel()
	r.level = g.level
	if at < 0 || at > 0 && s.levels[0].Present() {
		return // none, or "level" means something else here
	}
	v := s.levels[at]
	if !g.exact && !s.other[slotSeverityText].Present() {
		s.more = append(append(s.more, `,"`+severityKey+`":`...), v.Raw...)
	}
	s.value[0] = append(append(append(s.value[0][:0], '"'), g.level.String()...), '"')
	s.change(line, levelNames, at, v, s.value[0])
}

// findLevel returns the first of the names whose value is a level.
func (s *jsonScan) findLevel() (grade, int) {
	for i, v := range s.levels {
		if !v.Present() {
			continue
		}
		if g, ok := s.grade(levelNames[i], v); ok {
			return g, i
		}
	}
	return noGrade, -1
}

func (s *jsonScan) grade(name string, v entry.Value) (grade, bool) {
	var n int
	ok := v.Kind == entry.Number
	switch {
	case ok:
		n, ok = integer(v.Raw)
	case v.Kind == entry.String && len(v.Raw) <= len(s.word):
		word := v.Text(s.word[:0])
		if name != "PRIORITY" {
			return gradeOf(word)
		}
		n, ok = integer(word)
	}
	switch {
	case !ok:
		return noGrade, false
	case name == "PRIORITY", s.message[gelfMessage].Present():
		return gradeSyslog(n)
	case s.python():
		return gradePython(n)
	}
	return gradePino(n)
}

// gelfMessage is the place of the name that tells a line of GELF, whose levels are those of syslog.
var gelfMessage = slices.Index(messageNames, "short_message")

// python reports whether the line is a record of Python's logging, whose levels are other numbers and whose "created" is a time.
func (s *jsonScan) python() bool {
	return s.levels[pythonName].Present() || s.levels[pythonNumber].Present()
}

var pythonName, pythonNumber = slices.Index(levelNames, "levelname"), slices.Index(levelNames, "levelno")

// time finds the time. Where it cannot be called "time", it goes into the dlog key.
func (s *jsonScan) time(r *draft, line []byte, cal *calendar) {
	r.timeless = true
	for i, v := range s.times {
		if !v.Present() || timeNames[i] == "created" && !s.python() {
			continue
		}
		t, same, ok := s.timeOf(v, cal)
		if !ok {
			continue
		}
		r.timeless = false
		if i > 0 && s.times[0].Present() {
			r.keys = appendTimeKey(r.keys, t)
			return
		}
		value := v.Raw
		if !same {
			s.value[1] = append(appendTime(append(s.value[1][:0], '"'), t), '"')
			value = s.value[1]
		}
		s.change(line, timeNames, i, v, value)
		return
	}
}

// timeOf reads a time; same means that it is RFC 3339 already.
func (s *jsonScan) timeOf(v entry.Value, cal *calendar) (t time.Time, same, ok bool) {
	if v.Kind == entry.Number {
		t, ok = v.Time()
		return t, false, ok && plausible(t)
	}
	if v.Kind != entry.String || len(v.Raw) > len(s.word) {
		return time.Time{}, false, false
	}
	if t, ok = v.Time(); ok {
		return t, true, true
	}
	text := v.Text(s.word[:0])
	if t, ok = cal.whole(text); ok {
		return t, false, true
	}
	return timeOfDigits(text)
}

// timeOfDigits reads a number of seconds or less since 1970 that is written as text, as journald does.
func timeOfDigits(text []byte) (t time.Time, same, ok bool) {
	if len(text) < len("1000000000") || len(text) > len("1000000000000000000") {
		return time.Time{}, false, false
	}
	for _, c := range text {
		if !isDigit(c) {
			return time.Time{}, false, false
		}
	}
	t, ok = entry.Value{Raw: text, Kind: entry.Number}.Time()
	return t, false, ok && plausible(t)
}

// text finds the message.
func (s *jsonScan) text(r *draft, line []byte) {
	if s.message[0].Present() {
		return
	}
	for i, v := range s.message {
		if v.Kind == entry.String && (messageNames[i] != "event" || r.level != entry.None) {
			s.change(line, messageNames, i, v, v.Raw)
			return
		}
	}
}

// change gives the member that is called names[i] the name names[0] and a value. A member of an inner object stays, and one is added to
// the line.
func (s *jsonScan) change(line []byte, names []string, i int, v entry.Value, value []byte) {
	e := edit{from: v.At(), to: v.At() + len(v.Raw), value: value}
	if i > 0 {
		e.name = names[0]
		if e.from = nameBefore(line, e.from, names[i]); e.from < 0 {
			s.more = append(appendName(append(s.more, ','), e.name), value...)
			return
		}
	} else if bytes.Equal(value, v.Raw) {
		return
	}
	s.edits[s.count] = e
	s.count++
}

func appendName(dst []byte, name string) []byte {
	return append(append(append(dst, '"'), name...), `":`...)
}

// nameBefore returns where the name of the value that begins at start begins, -1 where it is not the one expected.
func nameBefore(line []byte, start int, name string) int {
	head := bytes.TrimRight(line[:start], " \t\r\n")
	if len(head) == 0 || head[len(head)-1] != ':' {
		return -1
	}
	head = bytes.TrimRight(head[:len(head)-1], " \t\r\n")
	at := len(head) - len(name) - 2
	if at < 0 || head[at] != '"' || head[len(head)-1] != '"' || string(head[at+1:len(head)-1]) != name {
		return -1
	}
	return at
}

// apply returns the line with the edits made; the line itself where there are none.
func (s *jsonScan) apply(line []byte) []byte {
	if s.count == 0 && len(s.more) == 0 {
		return line
	}
	edits := s.edits[:s.count]
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	b, at := s.buf[:0], 0
	for _, e := range edits {
		if b = append(b, line[at:e.from]...); e.name != "" {
			b = appendName(b, e.name)
		}
		b = append(b, e.value...)
		at = e.to
	}
	b = append(b, line[at:len(line)-1]...) // without the last brace
	if more := s.more; len(more) > 0 {
		b = bytes.TrimRight(b, " \t\r\n")
		if b[len(b)-1] == '{' {
			more = more[1:]
		}
		b = append(b, more...)
	}
	s.buf = append(b, '}')
	return s.buf
}
