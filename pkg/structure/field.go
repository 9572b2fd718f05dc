package structure

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
)

// Field is a key and a value of a start or end entry. Make it with [Str], [Int] and the others. The zero Field is left out.
type Field struct {
	key  string
	kind fieldKind
	num  uint64
	str  string
	any  any
}

type fieldKind uint8

const (
	fieldNone fieldKind = iota
	fieldStr
	fieldInt
	fieldUint
	fieldFloat
	fieldBool
	fieldDur
	fieldTime
	fieldErr
	fieldAny
	fieldLink
)

// Str is a string. Invalid UTF-8 is made valid when it is written.
func Str(key, value string) Field { return Field{key: key, kind: fieldStr, str: value} }

// Int is a signed number.
func Int(key string, value int) Field { return Int64(key, int64(value)) }

// Int64 is a signed number of 64 bits.
func Int64(key string, value int64) Field {
	return Field{key: key, kind: fieldInt, num: uint64(value)}
}

// Uint64 is an unsigned number.
func Uint64(key string, value uint64) Field { return Field{key: key, kind: fieldUint, num: value} }

// Float64 is a floating-point number. NaN and infinities, which JSON cannot say, become strings, as with zerolog.
func Float64(key string, value float64) Field {
	return Field{key: key, kind: fieldFloat, num: math.Float64bits(value)}
}

// Bool is true or false.
func Bool(key string, value bool) Field {
	f := Field{key: key, kind: fieldBool}
	if value {
		f.num = 1
	}
	return f
}

// Dur is a duration, written as zerolog writes one: by default a number of milliseconds.
func Dur(key string, value time.Duration) Field {
	return Field{key: key, kind: fieldDur, num: uint64(value)}
}

// Time is a point in time, written as zerolog writes one: by default RFC 3339 with whole seconds.
func Time(key string, value time.Time) Field { return Field{key: key, kind: fieldTime, any: value} }

// Err is an error under zerolog's error key. A nil error is left out.
func Err(err error) Field {
	if err == nil {
		return Field{}
	}
	return Field{key: zerolog.ErrorFieldName, kind: fieldErr, any: err}
}

// Any is any value, written as zerolog's Interface writes it. It is encoded at once: later changes of the value do not show.
func Any(key string, value any) Field { return Field{key: key, kind: fieldAny, any: value} }

// Link names another task that this one has to do with, by its token: one of many that a batch continues, or the caller of a
// public service whose trace is not taken over. It is no field of the entry; readers find it under links. A token that does not parse is left out.
func Link(token string) Field { return Field{kind: fieldLink, str: token} }

// appendFields appends `,"key":value` for each field.
func appendFields(dst []byte, fields []Field) []byte {
	for i := range fields {
		dst = appendField(dst, &fields[i])
	}
	return dst
}

func appendField(dst []byte, f *Field) []byte {
	if f.kind == fieldNone || f.kind == fieldLink {
		return dst
	}
	dst = append(dst, ',')
	dst = entry.AppendString(dst, f.key)
	dst = append(dst, ':')
	switch f.kind {
	case fieldStr:
		return entry.AppendString(dst, f.str)
	case fieldInt:
		return strconv.AppendInt(dst, int64(f.num), 10)
	case fieldUint:
		return strconv.AppendUint(dst, f.num, 10)
	case fieldBool:
		return strconv.AppendBool(dst, f.num == 1)
	}
	return appendAsZerolog(dst, f)
}

// appendAsZerolog has zerolog write the value, so that its settings (units, formats, marshalers) hold for fields of tasks too. A method of the
// value that panics costs the value, not the entry.
func appendAsZerolog(dst []byte, f *Field) (out []byte) {
	defer func() {
		if v := recover(); v == nil {
			return
		}
		text := fmt.Sprintf("cannot encode %T: a method of it panicked", f.any)
		if err, ok := f.any.(error); ok {
			text = errorText(err)
		}
		out = entry.AppendString(dst, text)
	}()
	var line bytes.Buffer
	l := zerolog.New(&line)
	const key = "v"
	e := l.Log()
	switch f.kind {
	case fieldFloat:
		e.Float64(key, math.Float64frombits(f.num))
	case fieldDur:
		e.Dur(key, time.Duration(f.num))
	case fieldTime:
		t, _ := f.any.(time.Time)
		e.Time(key, t)
	case fieldErr:
		err, _ := f.any.(error)
		e.AnErr(key, err)
	default:
		e.Interface(key, f.any)
	}
	e.Send()
	value, ok := bytes.CutPrefix(bytes.TrimSuffix(line.Bytes(), []byte("}\n")), []byte(`{"v":`))
	if !ok { // the global level is Disabled, or a nil error: zerolog wrote nothing
		return appendPlain(dst, f)
	}
	return append(dst, value...)
}

func appendPlain(dst []byte, f *Field) []byte {
	var v any
	switch f.kind {
	case fieldFloat:
		v = math.Float64frombits(f.num)
	case fieldDur:
		v = float64(f.num) / float64(time.Millisecond)
	case fieldErr:
		err, _ := f.any.(error)
		v = errorText(err)
	default:
		v = f.any
	}
	b, err := json.Marshal(v)
	if err != nil {
		return entry.AppendString(dst, "cannot encode: "+err.Error())
	}
	return append(dst, b...)
}
