//go:build !race

package structure_test

// raceEnabled: see race_test.go.
const raceEnabled = false
