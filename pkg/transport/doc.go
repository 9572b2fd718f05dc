// Package transport carries any writer's lines to NATS: lines → queue → packs → the
// stream <NS>_IN. It knows no tasks; pkg/dlog combines it with those that do.
//
// # What it promises
//
// An application's goroutine never waits for the network and never publishes: it
// appends to a spool.Queue. One goroutine, the sender, owns everything else. The read
// position of the queue moves on the server's acks alone, so an error never loses an
// entry: whatever goes wrong is tried again, with back-off and jitter, for ever.
//
// # Packs
//
// Entries that share a subject travel together, at most 256 KiB of them. A pack is
// fixed before its first publish: its number, subject, first and last entry, count and
// CRC go to the queue's journal (Queue.Fix). A resend, even by a later process, forms
// the same bytes under the same id, "<pack key>.<number>.<crc>", and the server drops it
// if it has the first copy. At most one copy of a pack ever travels without
// Dlog-Again: 1. The first publish has no mark; a resend has it unless the server itself
// said of every copy before that it did not store it, and always when half of the
// duplicate window (20 s) has passed since the first publish; all that a dead process
// left (Adopt) has it. So readers that look up the identities of marked packs see
// nothing twice, however long a copy was on its way.
//
// One pack per subject is in flight, so the order of a process's entries of one subject
// holds up to the stream; 4 MiB in all.
//
// # The clock
//
// Below 250 entries a second a subject with nothing in flight is sent at once. Above,
// what was gathered goes in one burst at the ticks of a 10 ms grid shared by all
// subjects, warn and up at 2 ms; between ticks only warn and up wake the sender.
//
// # Without tasks
//
// Writer makes an io.Writer and zerolog.LevelWriter for stand-alone use.
package transport
