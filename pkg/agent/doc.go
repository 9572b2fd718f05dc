// Package agent brings what programs already write into dlog: lines on a pipe ([Outlet.Pipe]) and whole programs as tasks ([Outlet.Exec]).
//
// # Lines
//
// Each line becomes one entry. What it is, is told by the line alone, so formats may be mixed in one stream:
//
//   - JSON objects, as zerolog, slog, zap, pino, bunyan, winston, logrus and Python's logging write them;
//   - logfmt (key=value pairs and nothing else);
//   - klog, and text that begins with a time, a level or both;
//   - anything else: the text is the message, and there is no level.
//
// In entries the level is dlog's word under "level", the time RFC 3339 under "time", the text "message". Members that hold these
// under other names or in other forms are renamed and rewritten in their place; every other member stays byte for byte. A name
// that is taken by something else is never overwritten: the member stays where it is, and level and time travel in the subject and in
// dlog.time. A level whose word says more than dlog's ("notice", pino's 35) is kept as it was under "severity_text".
//
// A line that has a "dlog" key keeps its place and its service: it is sent as it is. A line of Eliot is sent whole, with a dlog key
// that says the same in dlog's terms, so that trees of Python programs and of Go programs are one.
//
// Stack traces of Go, Python, Java and Node, and indented lines, belong to the entry before them, if that was text and at most 100 ms ago.
// Traces go into dlog.stack, other lines into the message. Entries hold 64 KiB of them and no more.
//
// # Programs
//
// Exec runs a program as a task: its exit code is the outcome, its output is the task's entries, and DLOG_TASK and TRACEPARENT in
// its environment let it continue the tree. Its output is passed on at once and unchanged.
//
// # Floods and broken servers
//
// Memory is bounded: a line is read up to 16 MiB and stored up to entry.MaxLine, the queue has a fixed size. While the server
// stores what it is sent, input is read no faster than that. When it does not, input is read on, and what finds no room in the queue is
// refused by level, counted, and said by [Outlet.Close]. So whoever writes into the pipe waits for a server that works, and never for long for
// one that does not.
package agent
