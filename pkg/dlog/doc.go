// Package dlog is what applications import: logging for distributed systems, in tasks.
//
// Each log file tells part of the story. dlog tells the whole one: what was being achieved, by which steps, in which processes, and
// whether it succeeded. Six names are enough for a first tree:
//
//	d, err := dlog.Open(dlog.Config{Service: "checkout"})
//	defer d.Close(ctx)
//
//	ctx, t := d.Start(ctx, "place-order", dlog.Str("order", id))
//	defer t.End(&err)                               // succeeded, failed, cancelled or panicked
//
//	zerolog.Ctx(ctx).Info().Int("n", 3).Msg("reserved") // as ever, and now part of the task
//
// Names say what is being achieved ("charge-card"), fields say for whom: names travel in NATS subjects, so an id in one is
// folded away.
//
// # From one goroutine, process or machine to another
//
// A context carries its task through function calls. [Client.Go] takes it into a goroutine; the sub-packages dloghttp and
// dlognats over HTTP and NATS; [Client.Environ] into a child process; Task.Export and [Client.Import] over anything that moves a string.
//
// # Loggers
//
// In a task, zerolog.Ctx(ctx) is the logger. A zerolog logger that exists joins with [Client.Attach] and
// says which task it means with logger.Info().Ctx(ctx). [Client.SlogHandler] serves log/slog (and logr, through
// logr.FromSlogHandler), [Client.StdLog] the standard log package.
//
// Since zerolog's writer is replaced, what used to be on the terminal would be gone; [Config].Also says where lines go besides.
//
// # What it costs and what it promises
//
// A logger call writes into a queue in this process and never waits for the network; it allocates nothing. A sender takes
// entries from the queue to the router and tries for ever. Without any server the program works as it did. If the queue fills up, debug is
// refused first, warn and up last, each refusal is counted and said: nothing is lost silently. Close sends what is left
// and says how many entries it could not.
//
// # The environment
//
// What Config leaves open: DLOG_URL, DLOG_SERVICE, DLOG_SPOOL, DLOG_LEVEL, DLOG_ALSO, DLOG_CREDS and DLOG_CA. DLOG_TASK (or TRACEPARENT) is the
// token of the parent process's task, which outermost tasks continue.
package dlog
