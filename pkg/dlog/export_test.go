package dlog

import (
	"io"
	"os"
)

// DefaultAlso is for tests.
var DefaultAlso = func(env func(string) string, terminal func(*os.File) bool, exists func(string) bool) string {
	return defaultAlso(env, terminal, exists)
}

// NewConsole is for tests.
func NewConsole(w io.Writer) io.Writer { return newConsole(w, false) }
