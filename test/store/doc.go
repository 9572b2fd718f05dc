// Package store tests the embedded store from outside: killed while it writes, on a disk that fills up, and read with the tools that every
// machine has.
package store
