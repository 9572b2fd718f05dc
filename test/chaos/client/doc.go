// Package client breaks applications that log with dlog, and the server below them, and compares what a sink's file holds in the end with a
// ledger kept outside, which shares no code with dlog.
//
// go test runs a short form; scripts/chaos client the long one.
package client
