// Package spool is the queue between a logger call and the sender: when a logger call has returned, its entry outlives the
// process, whatever ends that.
//
// # What it promises
//
// An entry whose Frame.Commit has returned is read by this process's sender or, after its death, by whoever adopts the spool:
// whole, once per adopter until it is acked, and under the same message id once it was fixed in a pack. What that outlives
// depends on where the spool lies; Place chooses and Queue.Where says it.
//
//	                    process dies   container ends   reboot   power loss
//	memory              lost           lost             lost     lost
//	tmpfs (/run)        kept           a volume: kept   lost     lost
//	overlay             kept           restart: kept    kept     last 30 s or so lost
//	disk or volume      kept           kept             kept     last 30 s or so lost
//	disk with Fsync     kept           kept             kept     kept
//
// A logger call never waits for the reader or the network. A full queue refuses: trace and debug at 80 % of its size, info (and
// entries without a level) at 90 %; the rest is for warn and up and for task entries, which wait for room at most 5 ms once a
// second. A refused entry takes no number and is counted by level and reason, in the spool's files too, so that a death does
// not hide it. A full disk is one of the reasons: room is taken from the disk before it is mapped, so it is never a signal.
//
// # How it works
//
// A queue is a row of segments. Appending takes no lock: one atomic addition reserves place and number, the frame is filled, and
// its head is stored last, with a CRC-32C. On Linux segments are files mapped into memory (ext4, xfs, tmpfs); elsewhere, and with
// Config.NoMap, each commit writes its frame to the file; in memory there is no file. Segments are freed as a whole when all in
// them is acked, whatever their order, and used again while the sender keeps up; those that wait for an absent server leave the
// memory of the process.
//
// The sender fixes a pack before it publishes it: Fix writes number, first and last entry, count and checksum to the journal, so
// that a resend, by anyone, has the same bytes and the same id. Acked marks the entries and frees the journal's slot.
//
// Each process has a directory of its own below the spool directory, with a lock that the kernel lets go of when the process
// dies, also in another PID namespace. Adopt opens the directories whose lock is free, with read(2): what lies there may be cut
// short, torn or made by somebody with bad intentions. Files of a newer version are left alone (ErrVersion).
//
// # What it does not do
//
// It does not send, look into lines, or wake anybody but by Notify. It keeps the order of each goroutine's entries, and that of
// the reservations among several. An entry may come more than once where a process dies between a publish and its ack, and where
// power fails; the identity in the entry and Dlog-Again sort that out.
package spool
