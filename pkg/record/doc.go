// Package record makes log entries complete: everything that Python's LogRecord and OpenTelemetry's LogRecord hold has a place in an entry, on
// any zerolog logger and any io.Writer, with no tasks and no network. docs/record.md is the table.
//
//	r, err := record.New(record.Config{Service: "checkout", Out: os.Stdout})
//	logger := r.Attach(zerolog.New(nil), "orders")
//
// What all entries of a process share is said once, in the birth entry that New writes: process id, host, program, arguments, build, Go
// version, operating system, renamed zerolog keys, application-wide fields. Each entry carries the 8 bytes that name the process and
// its number in it, so a reader puts both together and sees what is missing.
//
// What differs between entries stands in their last key, dlog: the caller and its function (from warn up by default; a program counter
// is looked up once), the name of the logger, and the time where the line has none. What zerolog wrote is not touched.
//
// A [Recorder] is safe for concurrent use. The usual call allocates nothing.
package record
