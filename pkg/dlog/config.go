package dlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/rs/zerolog"
)

// Config says who is logging and where to. The zero value is a good one: everything has a default or comes from the environment.
type Config struct {
	// Service names the program in subjects and entries. Default: DLOG_SERVICE, then OTEL_SERVICE_NAME, then the program's name.
	Service string
	// Namespace is the first token of all subjects. Default "dlog".
	Namespace string
	// URL is the NATS URL of a router or an agent, or several with commas. Default: DLOG_URL, then nats://127.0.0.1:4222.
	URL string
	// Creds is the path of a NATS credentials file. Default: DLOG_CREDS, then none.
	Creds string
	// CA is the path of a PEM file with the authorities that the server's certificate is checked against. Default: DLOG_CA, then the system's.
	CA string
	// Spool is the directory below which entries wait until they are sent, so that they outlive a kill of the process; the next start of the
	// service sends what is left there. "memory" is a queue in memory. Default: what [spool.Place] finds: DLOG_SPOOL, a directory that systemd or dlog-agent
	// made for it, memory.
	Spool string
	// Queue says how much waiting entries may take and whether each is synced to the disk before its call returns; see [spool.Config].
	// Its Dir is ignored: Spool says where. Default: 256 MiB of files, 16 MiB in memory, not synced.
	Queue spool.Config
	// Level is the lowest level that loggers let through: trace, debug, info, warn, error, fatal or panic. Task entries are not
	// affected. Default: DLOG_LEVEL, then everything; a logger given to Attach keeps its own.
	Level string
	// Also is where lines go besides: "console" (readable, on stderr), "stdout" (as they travel) or "none". Default: DLOG_ALSO, then
	// console on a terminal, stdout in a container or under systemd, else none.
	Also string
	// AlsoTo gets the lines as they travel, and replaces Also.
	AlsoTo io.Writer
	// Base is the logger that others are derived from: its fields, hooks, level and sampler hold for the loggers of tasks. What it
	// writes to is replaced. Default: a plain logger whose time has microseconds.
	Base *zerolog.Logger
	// Fields are said once, in the birth entry: what should be known of all entries of this process.
	Fields map[string]any
	// Caller is the lowest level whose entries carry file, line and function: a level or "never". Default "warn".
	Caller string
	// Inside names the hosts that tokens are sent to besides loopback and private addresses: "api.example.com", ".example.com" for all below
	// it, or a network "203.0.113.0/24".
	Inside []string
	// Proxies names, as Inside does, the peers from which tokens are accepted besides loopback and private addresses.
	Proxies []string
	// TraceContext returns the trace and span that the context holds for another tracing library, so that an outermost task stands below
	// them. With OpenTelemetry: trace.SpanContextFromContext. Default: none.
	TraceContext func(ctx context.Context) (trace [16]byte, span [8]byte, ok bool)
	// Out replaces queue and network: entries go there, and nothing but Config is looked at, no environment. For tests.
	Out spool.Appender
	// Stderr gets what the developer or operator should know, each thing once. Default: os.Stderr.
	Stderr io.Writer
}

// lookup is os.Getenv, or nothing where the environment plays no part.
type lookup func(name string) string

// withDefaults fills what is open and returns the level that was asked for, zerolog.NoLevel if none was.
func (c Config) withDefaults(env lookup) (Config, zerolog.Level, error) {
	fill(&c.Service, env("DLOG_SERVICE"), env("OTEL_SERVICE_NAME"), programName())
	fill(&c.Namespace, "dlog")
	fill(&c.URL, env("DLOG_URL"))
	fill(&c.Creds, env("DLOG_CREDS"))
	fill(&c.CA, env("DLOG_CA"))
	fill(&c.Spool, env("DLOG_SPOOL"))
	fill(&c.Level, env("DLOG_LEVEL"))
	fill(&c.Also, env("DLOG_ALSO"))
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	level, err := parseLevel(c.Level)
	return c, level, errors.Join(err, checkAlso(c.Also))
}

// fill sets s to the first value that is not empty, if it is empty itself.
func fill(s *string, values ...string) {
	for _, v := range values {
		if *s != "" {
			return
		}
		*s = v
	}
}

func parseLevel(word string) (zerolog.Level, error) {
	if word == "" {
		return zerolog.NoLevel, nil
	}
	l, ok := entry.ParseLevel(word)
	if !ok || l == entry.None {
		return zerolog.NoLevel, fmt.Errorf("level must be trace, debug, info, warn, error, fatal or panic, not %q", word)
	}
	return zerolog.Level(l), nil
}

func checkAlso(word string) error {
	switch word {
	case "", "console", "stdout", "none":
		return nil
	}
	return fmt.Errorf("also must be console, stdout or none, not %q", word)
}

func programName() string {
	if len(os.Args) == 0 || os.Args[0] == "" {
		return "unknown"
	}
	return strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe")
}

// parentToken is what a parent process handed over.
func parentToken(env lookup) string {
	if token := env(task.EnvTask); token != "" {
		return token
	}
	return env(envTraceparent)
}

// envTraceparent is where tools that know OpenTelemetry expect a W3C traceparent.
const envTraceparent = "TRACEPARENT"
