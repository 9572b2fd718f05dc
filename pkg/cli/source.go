package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// An item is one entry as a reader meets it: its subject (made up from the entry where it comes from a file), the line, and when
// the stream stored it (zero for files).
type item struct {
	subj subject.Subject
	line []byte
	at   time.Time
	// entry is the line as it was read already, nil where it was not. Its bytes are the line's.
	entry *entry.Entry
}

// A window says which part of a source to read. What stands below the blank line are hints: a source that has an index reads
// less, another one gives what it has, so a reader checks what it gets.
type window struct {
	since, until time.Time
	follow       bool // go on with what arrives
	fresh        bool // begin with what arrives

	frames bool        // only the entries that frame tasks and processes
	trace  string      // only the trace that begins so, whenever it was, and the signs of life of its processes
	traces []string    // the same for these traces
	where  *cond.Where // only entries that fulfil this; nil: all
}

// A source is where readers take entries from. read hands each item to fn, in the order in which the source holds them; an
// item's line is valid until fn returns. fn ends the reading by returning stream.ErrStop.
type source interface {
	read(ctx context.Context, w window, fn func(item) error) error
	// close ends the source. The error says that what was given was not all there is.
	close() error
}

// closeSource closes the source at the end of a command and adds what that says to the command's error.
func closeSource(src source, err *error) { *err = errors.Join(*err, src.close()) }

// sourceFlags choose and bound the source of a reader.
type sourceFlags struct {
	connection
	files        []string
	store        string
	stream       string
	namespace    string
	since, until string
	live         bool // the command prints while it reads

	sinceTime, untilTime time.Time
}

func (s *sourceFlags) addFlags(cmd *cobra.Command, env Env) {
	s.connection.addFlags(cmd, env)
	f := cmd.Flags()
	f.StringVar(&s.stream, "stream", "in", "read this stream: in (everything as it was said), dead, or a `NAME` of the router's")
	f.StringVar(&s.namespace, "namespace", "dlog", "`NAME` that all subjects begin with")
	f.StringVar(&s.since, "since", "", "begin at this `TIME`: a duration back (1h), a clock time (14:30), a date, or RFC 3339")
}

func (s *sourceFlags) addPastFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.files, "file", nil, "read NDJSON of dlog, zerolog or Eliot from `FILE` (- is standard input; zstd is unpacked; repeatable) instead of asking a router")
	f.StringVar(&s.store, "store", "", "read the store in this `DIR`, which a sink of type store keeps, instead of asking a router")
	f.StringVar(&s.until, "until", "", "end at this `TIME`, in the forms of --since")
}

// check reads the times and names.
func (s *sourceFlags) check(now time.Time) error {
	var errs []error
	parse := func(flag, text string, into *time.Time) {
		if text == "" {
			return
		}
		t, err := config.ParseTime(text, now, time.Local)
		if err != nil {
			errs = append(errs, usagef("--%s: %w", flag, err))
			return
		}
		*into = t
	}
	parse("since", s.since, &s.sinceTime)
	parse("until", s.until, &s.untilTime)
	if !s.sinceTime.IsZero() && !s.untilTime.IsZero() && s.untilTime.Before(s.sinceTime) {
		errs = append(errs, usagef("--until %s (%s) lies before --since %s (%s)", s.until, s.untilTime.Format(time.DateTime), s.since, s.sinceTime.Format(time.DateTime)))
	}
	if err := subject.CheckNamespace(s.namespace); err != nil {
		errs = append(errs, usagef("--namespace: %w", err))
	}
	if s.stream != "in" && s.stream != "dead" {
		if err := subject.CheckStream(s.stream); err != nil {
			errs = append(errs, usagef("--stream: %w", err))
		}
	}
	given := []string{}
	for flag, on := range map[string]bool{"--file": len(s.files) > 0, "--nats": s.url != "", "--store": s.store != ""} {
		if on {
			given = append(given, flag)
		}
	}
	if len(given) > 1 {
		slices.Sort(given)
		errs = append(errs, usagef("%s exclude one another", strings.Join(given, " and ")))
	}
	return errors.Join(errs...)
}

// open returns the source that the flags name.
func (s *sourceFlags) open(env Env) (source, error) {
	if len(s.files) > 0 {
		return &fileSource{paths: s.files, env: env, live: s.live}, nil
	}
	if s.store != "" {
		return openStore(s.store, env)
	}
	nc, err := s.dial(env, "dlog-sink reader")
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	return &natsSource{nc: nc, js: js, ns: s.namespace, name: s.stream, url: redact(nc.ConnectedUrl()), env: env}, nil
}

// partial reports whether the source holds only what rules sent to it.
func (s *sourceFlags) partial() bool { return s.asksRouter() && s.stream != "in" }

// asksRouter reports whether the source is a router's stream, and not files or a store.
func (s *sourceFlags) asksRouter() bool { return len(s.files) == 0 && s.store == "" }

// natsSource reads a JetStream stream of the router.
type natsSource struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	ns, name string
	url      string
	env      Env
}

func (n *natsSource) close() error {
	n.nc.Close()
	return nil
}

func (n *natsSource) streamName() string {
	switch n.name {
	case "in", "dead":
		return subject.StreamName(n.ns, n.name, "")
	default:
		return subject.StreamName(n.ns, "to", n.name)
	}
}

func (n *natsSource) frames() []string {
	switch n.name {
	case "in":
		return []string{n.ns + ".in.*." + subject.TaskLevel + ".>"}
	case "dead":
		return nil
	default:
		return []string{n.ns + ".to." + n.name + ".*." + subject.TaskLevel + ".>"}
	}
}

func (n *natsSource) read(ctx context.Context, w window, fn func(item) error) error {
	cfg := stream.ReadConfig{
		Stream: n.streamName(), Since: w.since, Until: w.until, StopAtEnd: !w.follow, NewOnly: w.fresh,
		Bad: func(p stream.Pack, err error) {
			fmt.Fprintf(n.env.Stderr, "dlog-sink: stream %s, sequence %d: %v: passed over\n", n.name, p.Seq, err)
		},
	}
	if w.frames {
		cfg.Subjects = n.frames()
	}
	err := n.readStream(ctx, cfg, fn)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return usagef("the router at %s has no stream %q; --stream names one of its [[stream]]s, in or dead", n.url, n.name)
	}
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		return fmt.Errorf("the server at %s has no JetStream: it is not a dlog-router", n.url)
	}
	return err
}

func (n *natsSource) readStream(ctx context.Context, cfg stream.ReadConfig, fn func(item) error) error {
	if n.name == "dead" {
		return n.readDead(ctx, cfg, fn)
	}
	return stream.Read(ctx, n.js, cfg, func(p stream.Pack) error {
		subj, err := subject.Parse(p.Subject)
		if err != nil {
			return nil // not of dlog's form: nothing that a reader could ask for
		}
		for line := range stream.Lines(p.Data) {
			if err := fn(item{subj: subj, line: line, at: p.Time}); err != nil {
				return err
			}
		}
		return nil
	})
}

// maxFileLine bounds what a reader of files keeps of one line, in bytes; a longer one is passed over and counted.
const maxFileLine = 16 << 20

// fileSource reads NDJSON files, one after the other.
type fileSource struct {
	paths    []string
	env      Env
	live     bool // the command prints while it reads
	progress *progress
}

func (f *fileSource) close() error { return nil }

func (f *fileSource) read(ctx context.Context, w window, fn func(item) error) error {
	f.progress = newProgress(f.env, f.paths, f.live)
	for _, path := range f.paths {
		if err := f.readFile(ctx, path, w, fn); err != nil {
			return err
		}
	}
	return nil
}

func (f *fileSource) readFile(ctx context.Context, path string, w window, fn func(item) error) error {
	var in io.Reader = f.env.Stdin
	name := "standard input"
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return usagef("read entries: %w", err)
		}
		defer file.Close()
		in, name = file, path
	}
	plain := strings.TrimSuffix(filepath.Base(name), ".zst")
	items := fileItems{service: strings.TrimSuffix(plain, filepath.Ext(plain)), subjects: map[subjectKey]subject.Subject{}}
	bad := badLines{name: name}
	in, done, err := unpacked(f.progress.reader(in))
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer done()
	err = eachLine(in, func(n int, line []byte, whole bool) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if !whole {
			bad.add(n, fmt.Sprintf("longer than %d MiB", maxFileLine>>20))
			return nil
		}
		it, at, err := items.read(line)
		if err != nil {
			bad.add(n, err.Error())
			return nil
		}
		if !w.holds(at) {
			return nil
		}
		return fn(it)
	})
	f.progress.clear()
	bad.report(f.env.Stderr)
	if err != nil && !errors.Is(err, stream.ErrStop) && ctx.Err() == nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	return err
}

// holds reports whether an entry of this time lies in the window; one without a time does.
func (w window) holds(at time.Time) bool {
	if at.IsZero() {
		return true
	}
	return (w.since.IsZero() || !at.Before(w.since)) && (w.until.IsZero() || !at.After(w.until))
}

// fileItems gives the lines of a file the subjects that they would travel under.
type fileItems struct {
	service  string // of lines that name none
	subjects map[subjectKey]subject.Subject
}

type subjectKey struct{ service, level, path string }

func (f *fileItems) read(line []byte) (item, time.Time, error) {
	e, err := parseEntry(line)
	if err != nil {
		return item{}, time.Time{}, err
	}
	key := subjectKey{f.service, e.Level.Token(), e.Meta.Path}
	if e.HasMeta && e.Meta.Svc != "" {
		key.service = e.Meta.Svc
	}
	if e.HasMeta && e.Meta.Event != "" {
		key.level = subject.TaskLevel
	}
	subj, known := f.subjects[key]
	if !known {
		if subj, err = subject.Parse(subject.In("dlog", key.service, key.level, key.path)); err != nil {
			return item{}, time.Time{}, err
		}
		f.remember(key, subj)
	}
	return item{subj: subj, line: line, entry: &e}, e.Time, nil
}

// remember keeps a subject for the next line. A file whose paths hold ids must not fill the memory with them.
func (f *fileItems) remember(key subjectKey, s subject.Subject) {
	const most = 10_000
	if len(f.subjects) >= most {
		clear(f.subjects)
	}
	f.subjects[key] = s
}

// parseEntry reads a line of dlog, zerolog or Eliot.
func parseEntry(line []byte) (entry.Entry, error) {
	e, err := entry.Parse(line)
	if err == nil && !e.HasMeta && !tree.ReadEliot(&e) {
		readForeign(&e)
	}
	return e, err
}

// badLines counts the lines of a file that are no entries, to say it once.
type badLines struct {
	name  string
	count int
	first int
	why   string
}

func (b *badLines) add(n int, why string) {
	if b.count++; b.count == 1 {
		b.first, b.why = n, why
	}
}

func (b *badLines) report(to io.Writer) {
	switch {
	case b.count == 1:
		fmt.Fprintf(to, "dlog-sink: %s: line %d passed over: %s\n", b.name, b.first, b.why)
	case b.count > 1:
		fmt.Fprintf(to, "dlog-sink: %s: %d lines passed over, the first is line %d: %s\n", b.name, b.count, b.first, b.why)
	}
}

// eachLine calls fn with the number and the text of each line that is not blank. whole is false for a line of more than
// maxFileLine bytes, of which nothing is kept.
func eachLine(in io.Reader, fn func(n int, line []byte, whole bool) error) error {
	r := bufio.NewReaderSize(in, 1<<20)
	var long []byte
	for n := 1; ; n++ {
		line, err := r.ReadSlice('\n')
		whole := true
		long = long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			if whole = whole && len(long) < maxFileLine; whole {
				long = append(long, line...)
			}
			line, err = r.ReadSlice('\n')
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = line
		}
		if line = bytes.TrimSpace(line); len(line) > 0 || !whole {
			if ferr := fn(n, line, whole && len(line) <= maxFileLine); ferr != nil {
				return ferr
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
