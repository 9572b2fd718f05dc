//go:build !race

package dlog_test

// raceEnabled: see race_test.go.
const raceEnabled = false
