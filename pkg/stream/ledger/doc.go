// Package ledger is the routers' book of what became of each message of the stream IN.
//
// # What is in it
//
// A router appends a [Record] for each message of IN before it acks the message: how many entries each stream got, which rule
// dropped how many, and at which positions of which tasks, and what became a dead letter. Many records share one message of the
// stream <NS>_LEDGER, on the subject <ns>.ledger.<router>. Each such [Batch] also holds the running totals of what it speaks of, over all routers
// and restarts, and every 64th holds all totals: sums survive the trimming of the stream, which keeps a twentieth of
// IN's bytes.
//
// # Why each message counts once
//
// The ledger is one chain. A router appends on the condition that it knows the last batch (JetStream's expected last sequence); when
// another one was faster, it reads what that one wrote, leaves out what is recorded already, and tries again. So a message that was
// routed twice, because a router was killed before its ack, is in the totals once. A router that finds such a message recorded
// acks it and does not route it again.
//
// A number of IN below everything that is still there or un-acked, and in no record, was removed by IN's limits before any router
// had it: such numbers are counted as expired, unrouted.
//
// # Readers
//
// [Read] gives the batches of a time window, [Latest] the totals, and [NewJudge] explains the entries absent from trees that a
// rule dropped. The format is binary and versioned; encode.go describes it.
package ledger
