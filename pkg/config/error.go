package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Error is one fault of a file, said in one line.
type Error struct {
	File string // as it was given to Load or Decode; empty for text without a file
	Line int    // 1 is the first; 0 where the fault has no place of its own
	Key  string // dotted from the top of the file; empty for faults of syntax
	Msg  string // what is wrong, and what to write instead
}

// Error returns "file:line: key: what", leaving out what is unknown.
func (e *Error) Error() string {
	s := e.Msg
	if e.Key != "" {
		s = e.Key + ": " + s
	}
	switch {
	case e.File != "" && e.Line > 0:
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, s)
	case e.File != "":
		return e.File + ": " + s
	case e.Line > 0:
		return fmt.Sprintf("line %d: %s", e.Line, s)
	}
	return s
}

// Join puts the faults of several errors, nested joins opened, into one error:
// in the order of file and line, each text once. Errors of other types come
// last. It returns nil when there is no fault.
func Join(errs ...error) error {
	return errors.Join(sorted(flatten(nil, errs...))...)
}

// Faults lists the single faults that err joins, in order.
func Faults(err error) []error { return sorted(flatten(nil, err)) }

func flatten(to []error, errs ...error) []error {
	for _, err := range errs {
		if err == nil {
			continue
		}
		if many, ok := err.(interface{ Unwrap() []error }); ok {
			to = flatten(to, many.Unwrap()...)
			continue
		}
		to = append(to, err)
	}
	return to
}

func sorted(errs []error) []error {
	slices.SortStableFunc(errs, func(a, b error) int {
		fa, la := place(a)
		fb, lb := place(b)
		return cmp.Or(cmp.Compare(fa, fb), cmp.Compare(la, lb))
	})
	seen := make(map[string]bool, len(errs))
	return slices.DeleteFunc(errs, func(err error) bool {
		again := seen[err.Error()]
		seen[err.Error()] = true
		return again
	})
}

// place sorts what has no line behind what has one, and other errors last.
func place(err error) (string, int) {
	const last = 1 << 30
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return "\xff", last
	}
	if e.Line == 0 {
		return e.File, last
	}
	return e.File, e.Line
}
