package dlog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
	"golang.org/x/term"
)

// alsoOf returns where lines go besides the queue, nil for nowhere.
func alsoOf(cfg Config, level zerolog.Level, env lookup) zerolog.LevelWriter {
	w := alsoWriter(cfg, env)
	if w == nil {
		return nil
	}
	if level == zerolog.NoLevel {
		level = zerolog.TraceLevel
	}
	return &also{w: w, level: level}
}

func alsoWriter(cfg Config, env lookup) io.Writer {
	if cfg.AlsoTo != nil {
		return cfg.AlsoTo
	}
	word := cfg.Also
	if word == "" && cfg.Out == nil {
		word = defaultAlso(env, isTerminal, exists)
	}
	switch word {
	case "console":
		return newConsole(os.Stderr, isTerminal(os.Stderr) && env("NO_COLOR") == "")
	case "stdout":
		return os.Stdout
	}
	return nil
}

// defaultAlso finds out who reads what the program prints: a person, a container's log collector or journald, or nobody.
func defaultAlso(env lookup, terminal func(*os.File) bool, exists func(string) bool) string {
	switch {
	case terminal(os.Stderr):
		return "console"
	case env("KUBERNETES_SERVICE_HOST") != "", exists("/.dockerenv"), exists("/run/.containerenv"), env("JOURNAL_STREAM") != "":
		return "stdout"
	}
	return "none"
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// also writes lines of a level and above, one at a time.
type also struct {
	level zerolog.Level

	mu sync.Mutex // guards w
	w  io.Writer
}

// WriteLevel implements [zerolog.LevelWriter].
func (a *also) WriteLevel(level zerolog.Level, line []byte) (int, error) {
	if level < a.level {
		return len(line), nil
	}
	return a.Write(line)
}

// Write implements [io.Writer].
func (a *also) Write(line []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.w.Write(line)
}

// console renders lines for people. The dlog key is not shown, but starts and ends of tasks are marked as such; what the process says about itself
// is left out.
type console struct{ w zerolog.ConsoleWriter }

func newConsole(w io.Writer, color bool) io.Writer {
	return &console{zerolog.ConsoleWriter{
		Out: w, NoColor: !color, TimeFormat: "15:04:05.000", FieldsExclude: []string{entry.Key}, FormatPrepare: prepareConsole,
	}}
}

// Write implements [io.Writer].
func (c *console) Write(line []byte) (int, error) {
	for _, event := range processEvents {
		if bytes.Contains(line, event) {
			return len(line), nil
		}
	}
	return c.w.Write(line)
}

var processEvents = [][]byte{[]byte(`,"event":"birth"`), []byte(`,"event":"beat"`), []byte(`,"event":"death"`)}

// prepareConsole turns the message of a task entry into what happened, and makes control characters harmless.
func prepareConsole(line map[string]any) error {
	meta, _ := line[entry.Key].(map[string]any)
	message, _ := line[zerolog.MessageFieldName].(string)
	message = harmless(message)
	if t, ok := line[zerolog.TimestampFieldName]; !ok || t == nil {
		line[zerolog.TimestampFieldName] = meta["time"]
	}
	switch event, _ := meta["event"].(string); entry.Event(event) {
	case entry.Start:
		message = "▶ " + message
	case entry.End:
		outcome, _ := meta["outcome"].(string)
		elapsed, _ := meta["elapsed_ms"].(json.Number)
		message = fmt.Sprintf("■ %s %s after %s ms", message, outcome, elapsed)
	case entry.Export:
		message = "→ " + message
	}
	if message != "" {
		line[zerolog.MessageFieldName] = message
	}
	return nil
}

// harmless escapes what could drive a terminal or turn text around.
func harmless(s string) string {
	if strings.IndexFunc(s, dangerous) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if dangerous(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// dangerous is true for control characters and for those of Unicode's category Cf, which holds the marks of writing direction.
func dangerous(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }
