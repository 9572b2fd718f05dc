// Package file is the kind of sink that appends entries to a file, one JSON object a line, each exactly once.
//
// Beside FILE stand two small ones. FILE.state says up to which byte FILE is committed and how far in the stream that is; it is
// replaced as a whole (written aside, synced, renamed, the directory synced) after the lines it speaks of have been synced. What
// stands in FILE behind that byte was not committed and is cut off when the file is opened, so a crash at any moment neither
// loses nor repeats a line. FILE.lock is locked while a process writes; nothing needs to be cleaned up after a crash. Nobody else
// may append to FILE. Who cuts it short, or moves it away while no sink runs, loses nothing but those lines: the sink
// says so and goes on at the end of what is there.
//
// Entries that may have been stored before, as part of another message, are looked up by their identity. The index lives in memory:
// it holds what this process has written, and begins with what stands in the last again_window bytes of FILE. It is bounded:
// at least the last 262,144 entries, and about 100 million where processes number theirs without holes. A repetition
// from farther back is stored again: a client that comes back after an outage longer than that much traffic.
package file
