// Package structure gives log entries their place in a tree of tasks: what was being achieved, by which steps, and whether it
// succeeded. It works over any zerolog logger and writes to any [spool.Appender] or, through [Writer], to any io.Writer;
// it knows no network.
//
//	p := structure.New(structure.Config{Service: "checkout", Out: structure.Writer(os.Stdout)})
//	ctx, t := p.Start(ctx, "place-order", structure.Str("order", id))
//	defer t.End(&err)
//	zerolog.Ctx(ctx).Info().Msg("reserved")
//
// # What is promised
//
// Numbers. In one task, entries and sub-tasks share one counter. 1 is the start entry, the end entry carries the last number
// (n). An entry takes its number after its place in the queue is reserved; one that is refused takes none and is
// counted by level on the end entry (refused), so that a gap in the numbers is always a loss somewhere else. What is logged after
// the end keeps counting and is marked late.
//
// The line. What zerolog wrote is not touched; one key, dlog, is added as the last of the object. A line break inside raw
// JSON becomes a space, since an entry is one line.
//
// Levels. Start, export and end entries travel under the subject level "task"; neither the level nor the
// sampler of any logger applies to them. In the JSON a start is debug, an end info, warn (cancelled) or error (failed, panicked).
//
// Cost. A logger from the context of a task writes without allocation, lookup or parsing. A logger with the hook
// and the writer of [Process.Attach] looks its task up by a mark in the line, which is cut out.
//
// Concurrency. A [Process] and a [Task] may be used from any number of goroutines. Nothing is kept per goroutine: the
// context says which task is meant.
//
// Bad use gets one line on stderr, never a panic: nil contexts, loggers and tasks, tokens that are garbage, hooks without their writer.
package structure
