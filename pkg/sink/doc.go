// Package sink carries the entries of a stream to a destination, each exactly once as far as the destination can tell.
//
// A destination implements [Kind]: three methods, whose comments are the contract. Everything else is the [Runner]'s, one
// for each [[sink]] of a configuration file; a [Group] runs them together, and none stops another.
//
// # What a runner does
//
// It reads one durable consumer, named like the sink, pulls packs with explicit acks, and commits their entries together with the
// sequence and the store time of the last message they came from ([Committed]). The packs are acked after that. The destination's
// sequence decides, never the acks: at its start, and whenever the consumer's own sequence does not go up by exactly one, the
// runner resets the consumer to what follows the committed message.
//
// One process is active for a sink at any time (JetStream's pinned client); others with the same sink stand by and take over
// within two seconds of its death, or at once when it stops cleanly. All of them must write to the same destination: two files
// on two machines are two sinks and need two names.
//
//   - The stream was rolled back or made anew (its last sequence is below the committed one, or that message has another store
//     time): a new epoch begins. The runner goes on at the first message stored later than the committed one.
//   - Messages were removed by the stream's limits before they were read: a gap record says how many, in the place where they
//     would have been.
//   - The destination refuses an entry for what it is ([Refused]): the entry is isolated by halving the batch, published under
//     <ns>.dead.sink.<service>, and left out once that is stored.
//   - The destination fails in any other way: nothing is pulled, the runner waits with growing pauses and tries again for ever.
//
// # What may come twice
//
// Nothing that an atomic destination has committed is handed to it again as the same message. The same entry may come as
// another message, though, where its way to the stream was repeated (a client that never saw its ack, a router that was
// killed, a stream that was rolled back). Such entries have [Entry.Again] set and are recognised by their identity (process
// and number, see [Identity]).
package sink
