//go:build race

package cond_test

// raced: the race detector makes sync.Pool forget what regexp keeps in it, so
// that allocations cannot be counted.
const raced = true
