package rule

import (
	"github.com/dlog-fabric/dlog/pkg/config"
)

// File is the rules' part of a configuration file. Embed it in the struct that
// stands for the whole file.
type File struct {
	// Self is the table it was decoded from, for the lines of faults; a File made
	// in code has none.
	Self config.Table `toml:",self"`
	// Namespace is the first token of all subjects; "" means dlog.
	Namespace string `toml:"namespace"`
	// Default says what becomes of entries that no rule sent anywhere. A file
	// without it is an error.
	Default *Default `toml:"default"`
	// Streams are all that rules may send to.
	Streams []StreamConfig `toml:"stream"`
	// Rules are kept as they stand: Compile knows the actions.
	Rules []config.Table `toml:"rule"`
	// Redact holds for all rules that redact.
	Redact Redact `toml:"redact"`
	// Tests are run by Set.RunTests.
	Tests []Test `toml:"test"`
}

// Default names the streams of entries that no rule sent anywhere.
type Default struct {
	To []string `toml:"to"`
}

// Redact is the table [redact].
type Redact struct {
	// Key is the key under which redact = { FIELD = "hash" } hashes, at least
	// MinKey bytes. A relative path of a file begins where the configuration is.
	Key config.Secret `toml:"key"`
}

// StreamConfig is a stream that rules may send to. Zero limits leave them to
// the router.
type StreamConfig struct {
	Name     string          `toml:"name"` // [a-z][a-z0-9-]{0,31}, not "in" or "dead"
	MaxAge   config.Duration `toml:"max_age"`
	MaxBytes config.Size     `toml:"max_bytes"`
	Sinks    []string        `toml:"sinks"` // durables that the router makes for sinks which may not
}

// Test is a case that the rules must decide as expected. The tables are read by
// Compile.
type Test struct {
	Self   config.Table `toml:",self"` // as File.Self
	Name   string       `toml:"name"`
	In     config.Table `toml:"in"`
	Expect config.Table `toml:"expect"`
}

// Validate reports what is wrong with the rules; config.Load asks for it.
func (f *File) Validate() error {
	_, err := Compile(*f)
	return err
}

// LaterKeys lists what other versions know at the top of a file.
func (f *File) LaterKeys() []string { return []string{"include", "zone"} }
