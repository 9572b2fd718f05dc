package agent

import (
	"io"
	"os"
	"time"

	"github.com/dlog-fabric/dlog/pkg/transport"
)

// Config says where entries go and as whose. The zero value sends to the server on this machine.
type Config struct {
	// Service names the program whose lines these are. Default "dlog-agent".
	Service string
	// URL, Creds and CA say how the server is reached: see transport.Config.
	URL, Creds, CA string
	// Namespace is the first token of subjects. Default "dlog".
	Namespace string
	// Spool is the directory where entries wait so that they outlive the process; "" keeps them in memory.
	Spool string
	// QueueBytes is the most that waiting entries take. Default 64 MiB in memory, and that of pkg/spool with files.
	QueueBytes int64
	// Idle is how long an entry of text waits for lines that belong to it. Default 100 ms.
	Idle time.Duration
	// Zone is the time zone of times that do not name one. Default time.Local.
	Zone *time.Location
	// Stderr gets what the operator should know, one line each. Default os.Stderr.
	Stderr io.Writer
}

const (
	defaultService = "dlog-agent"
	defaultQueue   = 64 << 20
	defaultIdle    = 100 * time.Millisecond
)

func (c Config) withDefaults() Config {
	if c.Service == "" {
		c.Service = defaultService
	}
	if c.Namespace == "" {
		c.Namespace = transport.DefaultNamespace
	}
	if c.QueueBytes <= 0 && c.Spool == "" {
		c.QueueBytes = defaultQueue
	}
	if c.Idle <= 0 {
		c.Idle = defaultIdle
	}
	if c.Zone == nil {
		c.Zone = time.Local
	}
	if c.Stderr == nil {
		c.Stderr = os.Stderr
	}
	return c
}
