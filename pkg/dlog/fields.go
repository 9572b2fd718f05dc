package dlog

import (
	"time"

	"github.com/dlog-fabric/dlog/pkg/structure"
)

// Field is a key and a value for the start and end entries of a task. The zero Field is left out.
type Field = structure.Field

// Str is a string.
func Str(key, value string) Field { return structure.Str(key, value) }

// Int is a signed number.
func Int(key string, value int) Field { return structure.Int(key, value) }

// Int64 is a signed number of 64 bits.
func Int64(key string, value int64) Field { return structure.Int64(key, value) }

// Float64 is a floating-point number.
func Float64(key string, value float64) Field { return structure.Float64(key, value) }

// Bool is true or false.
func Bool(key string, value bool) Field { return structure.Bool(key, value) }

// Dur is a duration, written as zerolog writes one: by default a number of milliseconds.
func Dur(key string, value time.Duration) Field { return structure.Dur(key, value) }

// Time is a point in time, written as zerolog writes one.
func Time(key string, value time.Time) Field { return structure.Time(key, value) }

// Err is an error under zerolog's error key; nil is left out.
func Err(err error) Field { return structure.Err(err) }

// Any is any value, encoded at once as zerolog's Interface encodes it.
func Any(key string, value any) Field { return structure.Any(key, value) }

// Link names another task by its token: one of many that a batch continues, or a stranger whose trace is not taken over.
func Link(token string) Field { return structure.Link(token) }
