package agent

import (
	"time"
	"unsafe"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// A draft is one line on its way to become an entry. Its slices are the decoder's, good until the next one.
type draft struct {
	level    entry.Level
	body     []byte // the JSON object
	keys     []byte // more for the dlog object: `,"key":value`
	timeless bool   // neither body nor keys hold a time

	place  place
	meta   entry.Meta // where place is not nowhere
	kept   bool       // body has its dlog key
	frames bool       // the line is one that frames tasks or processes
}

// place says who decides where an entry belongs.
type place uint8

const (
	nowhere place = iota // the agent: outside of any task, or in the task of the program that it runs
	own                  // the line's own dlog key
	eliot                // the line's ids of Eliot
)

// appendTimeKey appends the time for the dlog object.
func appendTimeKey(dst []byte, t time.Time) []byte {
	dst = append(dst, `,"time":"`...)
	return append(appendTime(dst, t), '"')
}

// appendTime appends RFC 3339 in UTC with as many digits as the time has.
func appendTime(dst []byte, t time.Time) []byte {
	return t.UTC().AppendFormat(dst, time.RFC3339Nano)
}

func appendQuoted(dst, text []byte) []byte { return entry.AppendString(dst, text2string(text)) }

// text2string shows bytes as a string without copying them, for calls that do not keep it.
func text2string(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
