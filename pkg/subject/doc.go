// Package subject turns service, level and task path into NATS subjects and back, and
// matches path patterns against them.
//
//	<ns>.in.<service>.<level>.<name1>…<name8>            what was said
//	<ns>.to.<stream>.<service>.<level>.<name1>…<name8>   what the rules made of it
//	<ns>.dead.<reason>.<service>                         what nobody could use
//
// The level is one of pkg/entry's words, or [TaskLevel] for the entries that frame tasks.
// Outside of any task the names are the single token "-".
//
// # Names
//
// A token is 1 to 64 of A-Z a-z 0-9 _ -; any other byte is =HH (see task.AppendSafe).
// Names, never ids, belong in a path, because every distinct subject costs the server
// memory. So in names a run of 4 digits or more, or of 8 hex digits or more, becomes "="
// together with the hex digits that follow it. Since no hex digit can follow that "=", it
// is never taken for an escape. What is longer than 64 bytes then becomes its first 55
// bytes, "_" and 8 hex digits of the SHA-256 of the whole. Of more than [MaxNames] names the
// first 7 stay and the eighth token is "=". Services are escaped and cut, never folded.
//
// Folding and cutting lose something: [Subject.Lossy] says where, and there the path in the
// entry ("dlog.path") decides what a pattern matches.
//
// All functions are safe for concurrent use. None panics, whatever it is given.
package subject
