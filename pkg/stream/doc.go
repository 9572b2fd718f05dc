// Package stream is all that dlog knows of JetStream.
//
//   - A message is a [Pack]: lines of NDJSON under one subject, with what its headers say ([DecodePack], [Lines]).
//   - A [Spec] is what dlog wants of a stream; [Ensure] makes it so, as far as nothing stored is lost by it, and explains the rest as a [Conflict].
//   - [Read] replays and follows a stream: in order, each pack once, over broken connections and restarted servers.
//   - A [Publisher] stores messages: many at a time, each under its id until it is stored, each stream on a [Lane] of its own.
//
// Exactly once is at least once and this: a server drops a second message with the same id for [DuplicateWindow], and whatever
// is sent again later carries [HdrAgain], which every hop passes on and which makes sinks look for identities.
package stream
