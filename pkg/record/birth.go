package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/rs/zerolog"
)

// birth is what all entries of a process share.
type birth struct {
	PID     int               `json:"pid"`
	PPID    int               `json:"ppid"`
	Host    string            `json:"host,omitempty"`
	Program string            `json:"program"`
	Exe     string            `json:"exe,omitempty"`
	Args    []string          `json:"args,omitempty"`
	Dir     string            `json:"dir,omitempty"`
	UID     int               `json:"uid"`
	Go      string            `json:"go"`
	OS      string            `json:"os"`
	Arch    string            `json:"arch"`
	CPUs    int               `json:"cpus"`
	Build   *build            `json:"build,omitempty"`
	Keys    map[string]string `json:"zerolog,omitempty"`
	Fields  map[string]any    `json:"fields,omitempty"`
}

// build is what the Go tool stamped into the program.
type build struct {
	Path     string `json:"path,omitempty"`
	Module   string `json:"module,omitempty"`
	Version  string `json:"version,omitempty"`
	Revision string `json:"revision,omitempty"`
	Time     string `json:"time,omitempty"`
	Modified bool   `json:"modified,omitempty"`
}

// Birth returns the birth entry, a JSON object on one line without the dlog key. The values of arguments that look like secrets are left out.
// The error says which of Config.Fields JSON cannot hold.
func (r *Recorder) Birth() ([]byte, error) {
	b := birth{
		PID: os.Getpid(), PPID: os.Getppid(), Program: programName(), UID: os.Getuid(),
		Args: maskSecrets(os.Args), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(),
		Build: readBuild(), Keys: renamedKeys(), Fields: r.cfg.Fields,
	}
	b.Host, _ = os.Hostname()
	b.Exe, _ = os.Executable()
	b.Dir, _ = os.Getwd()
	var middle bytes.Buffer
	enc := json.NewEncoder(&middle)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(b); err != nil {
		return nil, fmt.Errorf("encode birth entry: %w", err)
	}
	inside := bytes.TrimSuffix(bytes.TrimSpace(middle.Bytes()), []byte("}"))[1:]
	line := []byte{'{'}
	if zerolog.LevelFieldName != "" {
		line = appendPair(line, zerolog.LevelFieldName, zerolog.LevelFieldMarshalFunc(zerolog.InfoLevel))
		line = append(line, ',')
	}
	line = append(append(line, inside...), ',')
	line = appendPair(line, zerolog.TimestampFieldName, time.Now().UTC().Format(timeFormat))
	line = appendPair(append(line, ','), zerolog.MessageFieldName, "birth")
	return append(line, '}'), nil
}

func appendPair(dst []byte, key, value string) []byte {
	return entry.AppendString(append(entry.AppendString(dst, key), ':'), value)
}

func readBuild() *build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	b := &build{Path: info.Path, Module: info.Main.Path, Version: info.Main.Version}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.time":
			b.Time = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// renamedKeys returns zerolog's keys that do not have their usual names, by the usual one.
func renamedKeys() map[string]string {
	var m map[string]string
	for usual, name := range map[string]string{
		"level": zerolog.LevelFieldName, "time": zerolog.TimestampFieldName, "message": zerolog.MessageFieldName,
		"error": zerolog.ErrorFieldName, "caller": zerolog.CallerFieldName, "stack": zerolog.ErrorStackFieldName,
	} {
		if name == usual {
			continue
		}
		if m == nil {
			m = make(map[string]string)
		}
		m[usual] = name
	}
	return m
}

var (
	secretFlag = regexp.MustCompile(`(?i)^(--?[a-z0-9_.-]*(?:passw|secret|token|apikey|api-key|api_key|private|credential)[a-z0-9_.-]*)(=.*)?$`)
	secretURL  = regexp.MustCompile(`(://[^/@\s:]*):[^/@\s]*@`)
)

// maskSecrets returns the arguments with "***" for values of flags named like secrets and for passwords in URLs: entries travel far.
func maskSecrets(args []string) []string {
	out := make([]string, len(args))
	masked := false // the argument before was a flag whose value comes next
	for i, arg := range args {
		m := secretFlag.FindStringSubmatch(arg)
		switch {
		case masked && !strings.HasPrefix(arg, "-"):
			out[i], masked = "***", false
		case m == nil:
			out[i], masked = secretURL.ReplaceAllString(arg, "$1:***@"), false
		case m[2] != "":
			out[i], masked = m[1]+"=***", false
		default:
			out[i], masked = arg, true
		}
	}
	return out
}
