package record

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// ErrBinaryLog says that the program is built with zerolog's tag binary_log, whose CBOR lines no key can be added to.
var ErrBinaryLog = errors.New("this program is built with zerolog's tag binary_log (CBOR lines); build it without the tag")

// Config says what is recorded. The zero value records to nowhere.
type Config struct {
	// Service names the program. Default: the program's name.
	Service string
	// Out takes the lines, one call of Write for each, one at a time. Default: nowhere. [Recorder.Look] and [Recorder.Birth] need none.
	Out io.Writer
	// Caller is the lowest level whose entries say where they were logged: "warn" by default, "never" for none.
	Caller string
	// Fields are said once, in the birth entry: what the application wants known of all its entries.
	Fields map[string]any
	// Wrappers are packages ("example.com/app/log") whose functions are not the caller: helpers around the logger.
	Wrappers []string
}

// Recorder adds to entries what their record lacks. Make it with [New].
type Recorder struct {
	cfg     Config
	caller  zerolog.Level
	frames  frames
	timeKey []byte // `"time":`
	timeAt  [timeSlots]atomic.Uint32

	proc task.Process
	seq  atomic.Uint64
	head []byte // `,"dlog":{"svc":"…","proc":"…","seq":`
	out  lockedWriter
}

// New makes a recorder and, where Config has a writer, writes the birth entry. It reads zerolog's global key names, so change those before. The errors are
// ErrBinaryLog, a caller level that is none, and fields that JSON cannot hold.
func New(cfg Config) (*Recorder, error) {
	if err := checkJSON(); err != nil {
		return nil, err
	}
	if cfg.Service == "" {
		cfg.Service = programName()
	}
	level, err := callerLevel(cfg.Caller)
	if err != nil {
		return nil, err
	}
	r := &Recorder{cfg: cfg, caller: level, proc: task.NewProcess()}
	r.frames.init(cfg.Wrappers)
	r.timeKey = append(entry.AppendString(nil, zerolog.TimestampFieldName), ':')
	r.head = entry.AppendString([]byte(`,"dlog":{"svc":`), cfg.Service)
	r.head = append(r.proc.AppendTo(append(r.head, `,"proc":"`...)), `","seq":`...)
	r.out.w = cfg.Out
	birth, err := r.Birth()
	if err != nil {
		return nil, err
	}
	if cfg.Out != nil {
		r.write(birth, []byte(`,"event":"birth"`), false)
	}
	return r, nil
}

func callerLevel(word string) (zerolog.Level, error) {
	switch word {
	case "":
		return zerolog.WarnLevel, nil
	case "never":
		return zerolog.Disabled, nil
	}
	l, ok := entry.ParseLevel(word)
	if !ok || l == entry.None {
		return 0, fmt.Errorf("set up record: caller must be a level or never, not %q", word)
	}
	return zerolog.Level(l), nil
}

func programName() string {
	if len(os.Args) == 0 || os.Args[0] == "" {
		return "unknown"
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}

// checkJSON finds out which encoding zerolog was built with by writing one line.
func checkJSON() error {
	var line strings.Builder
	l := zerolog.New(&line)
	l.Log().Send()
	if s := line.String(); s != "" && s[0] != '{' {
		return ErrBinaryLog
	}
	return nil
}

// Look returns what the record of an entry lacks: keys for its dlog object, encoded as `,"key":value`, which must not be changed, and whether the line
// has no time of its own. It must be called in the goroutine that logs, below the logger. timed says that the line is known to have a time.
func (r *Recorder) Look(level zerolog.Level, line []byte, timed bool) (keys []byte, timeless bool) {
	timeless = !timed && !r.hasTime(line)
	if level < r.caller || level > zerolog.PanicLevel {
		return nil, timeless
	}
	return r.frames.caller(), timeless
}

// Attach gives a logger that exists the recorder's writer. The name, if any, becomes the key logger of its entries.
func (r *Recorder) Attach(logger zerolog.Logger, name ...string) zerolog.Logger {
	first := ""
	if len(name) > 0 {
		first = name[0]
	}
	return logger.Output(r.Writer(first))
}

// Writer returns a writer for any logger that writes JSON lines. Lines that are no JSON object become the message of one.
func (r *Recorder) Writer(name string) zerolog.LevelWriter {
	w := &writer{r: r}
	if name != "" {
		w.keys = entry.AppendString([]byte(`,"logger":`), name)
	}
	return w
}

// writer completes the lines of one logger.
type writer struct {
	r    *Recorder
	keys []byte
}

// WriteLevel implements [zerolog.LevelWriter].
func (w *writer) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	keys, timeless := w.r.Look(level, line, false)
	if len(w.keys) > 0 {
		keys = append(w.keys[:len(w.keys):len(w.keys)], keys...)
	}
	return len(line), w.r.write(line, keys, timeless)
}

// Write implements [io.Writer]: the level is not known, so no caller is looked for.
func (w *writer) Write(line []byte) (int, error) { return w.WriteLevel(zerolog.NoLevel, line) }

// write adds the dlog object and writes the line.
func (r *Recorder) write(line, keys []byte, timeless bool) error {
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	if r.out.w == nil {
		return nil
	}
	b := appendObject(r.out.buf[:0], line)
	head := r.head
	if len(b) == 1 {
		head = head[1:]
	}
	b = append(b, head...)
	b = appendUint(b, r.seq.Add(1))
	b = append(b, keys...)
	if timeless {
		b = append(b, `,"time":"`...)
		b = time.Now().UTC().AppendFormat(b, timeFormat)
		b = append(b, '"')
	}
	b = append(b, "}}\n"...)
	if cap(b) <= keptBytes {
		r.out.buf = b
	}
	if _, err := r.out.w.Write(b); err != nil {
		return fmt.Errorf("write record: %w", err)
	}
	return nil
}
