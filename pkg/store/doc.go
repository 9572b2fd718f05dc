// Package store keeps log entries on one machine: much in little space, found in milliseconds.
//
// A store is a directory with one SQLite file a day, by the date in UTC at which the stream stored an entry. A file's rows are blocks: about a
// thousand entries as NDJSON, compressed with zstd. Beside them stand an index from traces to blocks, a filter of the words of each block, the
// identities (process and number) it holds, counters by minute, service, level and outcome, and a summary of each outermost task. The
// position in the stream is written in the same transaction as the entries. docs/store.md describes the tables for those who read them with
// stock sqlite3 and zstd.
//
// # Writing
//
// One Writer has a directory at a time; a second one gets ErrInUse. Commit stores a batch and its position, both or nothing, and returns when
// they are on the disk. Entries marked Again are looked up by their identity in all files and left out if they are there; nothing else ever
// is. What cannot be written leaves the store as it was: a full disk is an error now and none when there is room again.
//
// Small blocks, which quiet times make, are merged in the transactions that add to them. When a day is over its file is sealed: it is one plain
// file then, without a log. Retention removes whole files.
//
// # Reading
//
// Any number of Readers, in any process, read while one writes; each file is seen as it was at one moment. Read goes through entries by time
// window, conditions and words and leaves out the blocks that cannot hold any. Trace finds the entries of one trace by its index, Tasks lists
// outermost tasks by their summaries, Counts and Usual answer from counters.
//
// A damaged block is left out and named in Problems; everything else is read. Blocks carry checksums, so what is handed over is what was
// written. An index that lost something says nothing of it by itself: Verify compares it with the blocks. A file of a newer version is refused by
// name; a writer refuses the directory then, because the position may be in it.
package store
