// Package entry reads and writes log entries: one JSON object on one line, as zerolog
// wrote it, with one more key, "dlog", last on the line.
//
// Writers use [AppendMeta] and [AppendLine], which do not allocate. Who decides by the
// fields of many lines compiles their names once ([CompileKeys]) and scans each line
// once ([Keys.Scan]), without allocation; the same pass checks that the line is one JSON
// object. Readers use [Parse].
//
// # What counts as a line
//
// One JSON object per RFC 8259, at most [MaxDepth] containers deep, white space around it
// allowed. Two things are taken more widely, because throwing an entry away for them
// would lose what it says: bytes in strings that are not UTF-8 and halves of surrogate
// pairs (\ud800). They are kept as they are and become U+FFFD only where text is taken
// out ([Value.Text]). Where a key stands twice in one object the last one counts, as in
// encoding/json.
//
// # What is never trusted
//
// A "dlog" key that lies (wrong types, numbers too large, positions against the grammar)
// makes an entry outside of any task, with [Entry.MetaErr] saying why, and never an error
// of the whole line.
package entry
