// Package task holds the nouns of a task tree: traces, processes, positions,
// attempts, tokens, outcomes and the paths made of task names. It knows nothing
// of entries, files or networks and uses the standard library only.
//
// # Positions
//
// Entries and sub-tasks of one task share one counter, so an entry's [Position]
// is the list of numbers from the outermost task down, and order is causal,
// never by clock:
//
//	position = ( number / foreign ) *( "." number )
//	number   = 1*DIGIT [ "~" attempt ]              at least 1, no leading zeros, at most 2^64-1
//	attempt  = 5 of a-z2-7
//	foreign  = "x" 16HEX "~" attempt                HEX is lower case
//
// A task's position is that of its entries without the last number; the outermost
// task's is "". Only the text that this grammar yields is accepted, so two
// positions are the same exactly when their texts are.
//
// # Hand-overs
//
// An export takes a number and travels as a [Token] in the header [HeaderTask] or
// the environment variable [EnvTask]. Each import of it claims the position with
// an attempt of its own, so a hand-over that is delivered twice makes siblings and
// never a collision. A stranger's W3C traceparent without a token makes a task at a
// foreign position below the stranger's trace.
//
// # Paths
//
// A path is the escaped names from the outermost task down, joined by "/".
// See [AppendName] for what is escaped. The empty name is written "=".
//
// All functions are safe for concurrent use. None panics, whatever it is given.
package task
