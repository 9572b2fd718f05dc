// Package file is the kind of sink that appends entries to a file, one JSON object a line, each exactly once, and keeps that file
// small: it is rotated, compressed and, where limits are set, removed when it is old.
//
// # What stands on the disk
//
// Beside FILE stand two small ones. FILE.state says up to which byte FILE is committed and how far in the stream that is; it is
// replaced as a whole (written aside, synced, renamed, the directory synced) after the lines it speaks of have been synced. What
// stands in FILE behind that byte was not committed and is cut off when the file is opened, so a crash at any moment neither
// loses nor repeats a line. FILE.lock is locked while a process writes; nothing needs to be cleaned up after a crash. Nobody else
// may append to FILE.
//
// A rotated archive.ndjson becomes archive-00000042-20261122T160211Z.ndjson: a running number, by which the files sort in
// the order of their lines whatever the clock did, and the time of the rotation in UTC. Later it is compressed:
// the same name and .zst, written aside, synced, read back, renamed, and only then the plain one is removed. So for a moment, or until the
// next start after a crash, both may stand there: they hold the same lines, and a reader takes either.
//
// # What others may do
//
// FILE may be renamed or removed at any time, by logrotate say: the sink looks twice a second, before each commit, and at once
// when told to (Reopen, SIGHUP). It opens the new file first and keeps the old one where that fails; a crash in between is
// mended by finding the old file by its identity, if it was renamed within its directory and the system knows when a file was made (Linux).
// Who cuts FILE short (copytruncate) takes the lines away that were written between his copy and the cut, which no writer can
// see; the sink counts and says it, and goes on at the end of what is there. Files with other names are neither read nor removed.
//
// # What comes again
//
// Entries that may have been stored before, as part of another message, are looked up by their identity. The index lives in memory:
// it holds what this process has written, and begins with what stands in the last again_window bytes, FILE and the rotated files
// taken together, compressed or not. It is bounded: at least the last 262,144 entries, and about 100 million where processes
// number theirs without holes. A repetition from farther back is stored again: a client that comes back after an outage longer than
// that much traffic.
//
// A full disk stalls the sink: what a commit had written is taken back, nothing is acked, and it goes on when there is room.
package file
