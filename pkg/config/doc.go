// Package config reads dlog's TOML files strictly.
//
// A file is decoded over the defaults that the target already holds. Whatever
// is wrong with it is reported at once, one line for each fault, with the file,
// the line, the key and, for a misspelt key, the nearest name:
//
//	router.toml:12: rule.nmae: unknown key; did you mean "name"?
//	router.toml:15: in.max_bytes: "10G" is not a size: unknown unit "G"; did you mean "GiB"?
//
// Only a file that is not TOML at all stops at its first fault. A target, or a
// part of it, that has a method Validate() error is asked too once its own keys
// are decoded, so that faults of meaning stand in the same list as faults of
// spelling.
//
// The package also holds the typed strings that files and command lines share:
// sizes, durations, percentages, rates and points in time.
//
// It keeps no state; everything in it may be used from several goroutines.
package config
