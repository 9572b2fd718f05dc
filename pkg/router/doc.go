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
// Before that ack, what became of each entry is appended to the ledger (package ledger). A message that comes again and is recorded
// there is acked and not routed.
//
// # What it holds
//
// At most 4,096 messages or 64 MiB per router are in hand, un-acked. A stream that has refused everything for 30 s is set aside: its
// copies go into the stream of what is owed, their messages are acked, and whichever router is there pays as soon as the stream takes
// entries again. Where even that cannot be stored, 8,192 messages or 64 MiB may wait un-acked; then the router stands still, says
// so in its log and in /readyz, and IN keeps what comes.
//
// # Rules
//
// A message obeys one set of rules. New ones are checked, and their tests run, aside; then one pointer is swapped. Rules with faults
// change nothing.
//
// # Counting
//
// Each entry is in exactly one state: in flight, else delivered if one stream stored it or is owed it, else dead, else dropped by the
// rule that ended it. received = in flight + delivered + dead + dropped holds in every reading of /metrics; the counters begin at zero
// with the process. The ledger's totals go on for ever and are those of all routers.
package router
