// Package tree puts entries back into the trees of tasks they were said in.
//
// A [Forest] takes entries in any order, twice, late, and with holes: it
// trusts no clock and no order of arrival, only positions. The same set of
// entries gives the same trees whatever the order they were added in.
//
//   - An entry belongs to the task its position names; a task to the one above
//     it. Several outermost tasks may share a trace id: the one at the empty
//     position and one for each foreign (W3C) head.
//   - Entries with one position and one identity (process and sequence) are
//     one entry. With one position and different identities both are kept and
//     marked as a conflict.
//   - A task of which no entry is present is there when something below it
//     is: it has no service, no outcome and a missing start. Such hollow tasks
//     are made for at most [MaxHollow] levels in a row, so that a position that
//     lies about its depth costs a bounded amount.
//   - Numbers from 1 to that of the end entry that nothing stands at are
//     absent. Above the end an entry is late, which is no error. Without an end
//     nothing is absent above the greatest number seen while the process shows
//     life. Absent numbers are kept as runs, never one by one.
//   - Every absent number has a [Reason]. What the entries cannot tell
//     (withheld by a rule, expired) a [Judge] adds.
//   - A task without an end is running; it is abandoned when its process wrote
//     a death entry or was silent for [Silence]. A process that never wrote a
//     birth, beat or death entry is never called silent.
//
// Entries that name no task are put together by a value that they share, and what
// such a tree does not know is guessed and marked so, see [Gather].
//
// Lines of the Python library Eliot are entries too, see [ReadEliot]. The
// shapes of the commands' JSON are written by [AppendSummary], [WriteTree] and
// [WriteGaps].
package tree
