//go:build !race

package cond_test

const raced = false
