// Package store is the kind of sink that keeps entries in dlog's own store: a directory with one SQLite file a day, which the commands of
// dlog-sink read with --store. Package pkg/store is the store itself, docs/store.md its manual.
//
// Each batch is one transaction that also holds the position in the stream, synced before it is acked. Entries that may have been stored
// before are looked up by their identity in all files that the directory holds. A batch that spans midnight becomes two transactions in two
// files; a crash between them leaves the state after the first.
package store
