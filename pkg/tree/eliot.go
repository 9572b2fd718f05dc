package tree

import (
	"bytes"
	"math"
	"strconv"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// The fields of Eliot's messages that dlog understands
// (https://eliot.readthedocs.io/en/stable/outputting/output.html); all others
// are the program's and stay as they are.
const (
	eliotUUID = iota
	eliotLevel
	eliotTime
	eliotActionType
	eliotActionStatus
	eliotMessageType
	eliotMessage
	eliotException
	eliotReason
	eliotLogLevel
	eliotLogger
	eliotFields
)

var eliotKeys = entry.CompileKeys([]string{
	eliotUUID:         "task_uuid",
	eliotLevel:        "task_level",
	eliotTime:         "timestamp",
	eliotActionType:   "action_type",
	eliotActionStatus: "action_status",
	eliotMessageType:  "message_type",
	eliotMessage:      "message",
	eliotException:    "exception",
	eliotReason:       "reason",
	eliotLogLevel:     "log_level",
	eliotLogger:       "logger",
})

// eliotMark is what a line must hold to be looked at more closely.
var eliotMark = []byte(`"task_uuid"`)

// ReadEliot reports whether e is a message of the Python library Eliot and, if
// so, fills in what its fields say in dlog's terms: trace and position,
// start and end with the outcome, time, level, message and error. e.Raw stays
// as it is. A message that is no start and no end and names no level has none.
func ReadEliot(e *entry.Entry) bool {
	if e.HasMeta || !bytes.Contains(e.Raw, eliotMark) {
		return false
	}
	var v [eliotFields]entry.Value
	if err := eliotKeys.Scan(e.Raw, v[:]); err != nil {
		return false
	}
	id, ok := eliotTrace(v[eliotUUID])
	if !ok {
		return false
	}
	var room [16]uint64
	levels, ok := eliotLevels(v[eliotLevel], room[:0])
	if !ok {
		return false
	}
	pos, err := task.PositionFromEliot(levels)
	if err != nil || pos == "" {
		return false
	}
	e.HasMeta = true
	e.MetaErr = ""
	e.Meta = entry.Meta{Trace: id, Pos: string(pos), Logger: text(v[eliotLogger])}
	if at, ok := eliotTimestamp(v[eliotTime]); ok {
		e.Time = at
	}
	readEliotAction(e, &v)
	return true
}

// isEliot reports whether an entry that stands in a task was written by Eliot:
// read as it is, or with dlog's key as the agent sends it on.
func isEliot(e *entry.Entry) bool {
	if e.Meta.Proc == "" {
		return true
	}
	if !bytes.Contains(e.Raw, eliotMark) {
		return false
	}
	_, uuid := e.Field("task_uuid")
	_, level := e.Field("task_level")
	return uuid && level
}

// readEliotAction fills in what tells a start, an end and a message apart.
func readEliotAction(e *entry.Entry, v *[eliotFields]entry.Value) {
	action := text(v[eliotActionType])
	switch status := text(v[eliotActionStatus]); status {
	case "started":
		e.Meta.Event, e.Level, e.Message = entry.Start, entry.Debug, action
	case "succeeded":
		e.Meta.Event, e.Level, e.Message = entry.End, entry.Info, action
		e.Meta.Outcome = task.Succeeded
	case "failed":
		e.Meta.Event, e.Level, e.Message = entry.End, entry.Error, action
		e.Meta.Outcome = task.Failed
		readEliotError(e, v)
	default:
		readEliotMessage(e, v)
	}
}

func readEliotError(e *entry.Entry, v *[eliotFields]entry.Value) {
	kind, reason := text(v[eliotException]), text(v[eliotReason])
	e.Error = reason
	if reason == "" {
		e.Error = kind
	}
	if kind != "" {
		e.Meta.Errors = []entry.ErrorInfo{{Type: kind, Text: reason}}
	}
}

func readEliotMessage(e *entry.Entry, v *[eliotFields]entry.Value) {
	kind := text(v[eliotMessageType])
	if e.Message == "" {
		e.Message = text(v[eliotMessage])
	}
	if e.Message == "" {
		e.Message = kind
	}
	if l, ok := entry.ParseLevel(text(v[eliotLogLevel])); ok {
		e.Level = l
	}
	if kind == "eliot:traceback" {
		e.Level = entry.Error
		readEliotError(e, v)
	}
}

// text returns the text of a string, "" for anything else.
func text(v entry.Value) string {
	if v.Kind != entry.String {
		return ""
	}
	return string(v.Text(nil))
}

// eliotTrace reads a task_uuid as it is written in nearly all cases, lower case
// with hyphens, without the allocations of the general way.
func eliotTrace(v entry.Value) (string, bool) {
	if v.Kind != entry.String {
		return "", false
	}
	if raw := v.Raw; len(raw) == 38 && raw[9] == '-' && raw[14] == '-' && raw[19] == '-' && raw[24] == '-' {
		var hex [32]byte
		copy(hex[:], raw[1:9])
		copy(hex[8:], raw[10:14])
		copy(hex[12:], raw[15:19])
		copy(hex[16:], raw[20:24])
		copy(hex[20:], raw[25:37])
		id := string(hex[:])
		if _, err := task.ParseTrace(id); err == nil {
			return id, true
		}
	}
	id, err := task.ParseUUID(text(v))
	return id.String(), err == nil
}

// eliotLevels reads a task_level: an array of integers, appended to levels.
func eliotLevels(v entry.Value, levels []uint64) ([]uint64, bool) {
	if v.Kind != entry.Array {
		return nil, false
	}
	rest := bytes.TrimSpace(v.Raw[1 : len(v.Raw)-1])
	for more := len(rest) > 0; more; {
		var word []byte
		word, rest, more = bytes.Cut(rest, []byte{','})
		n, err := strconv.ParseUint(string(bytes.TrimSpace(word)), 10, 64)
		if err != nil {
			return nil, false
		}
		levels = append(levels, n)
	}
	return levels, true
}

// eliotTimestamp reads seconds since the epoch, as Python's time.time gives
// them: exact to about a microsecond.
func eliotTimestamp(v entry.Value) (time.Time, bool) {
	s, ok := v.Number()
	if !ok || math.Abs(s) > 1<<36 {
		return time.Time{}, false
	}
	return time.UnixMicro(int64(math.Round(s * 1e6))).UTC(), true
}
