// Package router is the inside of dlog-router: it takes what applications said from the stream IN, applies the rules and stores
// the result in the rules' streams.
//
// # What it promises
//
// A message is acked in IN when every copy that the rules made of it, and every dead letter, is stored; so a router that is
// killed loses nothing. What it does again after a kill it does under the same message ids, which the server recognizes for 20 s
// ([stream.DuplicateWindow]), and marked Dlog-Again, which readers recognize for ever. Any number of routers share the work. The copies in a
// stream keep the order that entries of one subject had in IN, but for those that had to be sent again.
//
// A line that is not a JSON object becomes a dead letter of its own, a message that cannot be decoded becomes one as a whole. Neither
// touches its neighbours. Where the subject alone decides, messages move whole and their lines are not looked at.
//
// # What it holds
//
// At most 4,096 messages or 64 MiB per router are in hand, un-acked. A stream that has refused everything for 30 s is set aside: what waits for nothing but such
// streams no longer counts as in hand, stays un-acked in IN, and is stored as soon as the stream takes it. That is bounded too: with
// 8,192 messages or 64 MiB owed the router stands still, says so in its log and in /readyz, and IN keeps what comes.
//
// # Counting
//
// Each entry is in exactly one state: in flight, else delivered if one stream stored it, else dead, else dropped by the rule that ended
// it. received = in flight + delivered + dead + dropped holds in every reading of /metrics; the counters begin at zero with the process.
package router
