package natsd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/rs/zerolog"
)

// DefaultListen is where a server listens when its Config names no address: the usual port of NATS, this machine only.
const DefaultListen = "127.0.0.1:4222"

// DefaultSync is how often files are flushed to the disk: what a power failure may cost. One second costs nothing measurable
// beside the server's own default of two minutes.
const DefaultSync = time.Second

// Config says how a server runs. Data is required; the rest may stay zero.
type Config struct {
	// Listen is host:port. Port 0 picks a free one (see Server.URL). Empty means DefaultListen. An address that
	// other machines reach is refused unless TLS and Users or Nkeys are set.
	Listen string
	// Data is the directory of the streams. It is created, and locked while the server runs.
	Data string
	// Name is the server's name in the NATS protocol. Empty lets the server make one.
	Name string
	// Sync is the interval between flushes to the disk; 0 means DefaultSync.
	Sync time.Duration
	// SyncAlways flushes each message before it is acked.
	SyncAlways bool
	// MaxMemory bounds what streams and consumers kept in memory may take, in bytes; 0 means 64 MiB.
	MaxMemory int64
	// Users and Nkeys are who may connect, and what they may do. Both empty: anyone on this machine, everything.
	Users []*server.User
	Nkeys []*server.NkeyUser
	// TLS, when set, is required of every connection but those inside the process.
	TLS *tls.Config
	// Log receives the server's own messages. The zero value discards them.
	Log zerolog.Logger
}

func (c *Config) open() bool { return len(c.Users) == 0 && len(c.Nkeys) == 0 }

// address splits Listen and refuses what would let strangers in.
func (c *Config) address() (host string, port int, err error) {
	listen := c.Listen
	if listen == "" {
		listen = DefaultListen
	}
	host, digits, err := net.SplitHostPort(listen)
	if err != nil {
		return "", 0, fmt.Errorf("listen %q: want host:port", listen)
	}
	port, err = strconv.Atoi(digits)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("listen %q: port %q is not a number from 0 to 65535", listen, digits)
	}
	if !loopback(host) && (c.open() || c.TLS == nil) {
		return "", 0, fmt.Errorf("listen %s: beyond loopback the server needs users and TLS, which this version cannot set up yet; listen on loopback, or name a server of yours in [nats]", listen)
	}
	return host, port, nil
}

// CheckListen reports what is wrong with an address for a server without users and TLS, without trying it.
func CheckListen(addr string) error {
	_, _, err := (&Config{Listen: addr}).address()
	return err
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// options translates the Config. port is the server's form: -1 picks a free one.
func (c *Config) options(host string, port int, disk uint64) (*server.Options, error) {
	if c.Data == "" {
		return nil, errors.New("data directory: not set")
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	o := &server.Options{
		ServerName: c.Name, Host: host, Port: port,
		NoSigs: true, DisableJetStreamBanner: true,
		JetStream: true, StoreDir: c.Data,
		SyncInterval: orDefault(c.Sync, DefaultSync), SyncAlways: c.SyncAlways,
		JetStreamMaxMemory: orDefault(c.MaxMemory, 64<<20),
		JetStreamMaxStore:  int64(min(disk, 1<<62)),
		Users:              c.Users, Nkeys: c.Nkeys,
		LameDuckDuration: 10 * time.Second, LameDuckGracePeriod: time.Second,
	}
	if c.TLS != nil {
		o.TLS, o.TLSConfig, o.TLSTimeout = true, c.TLS, 5
	}
	return o, nil
}

func orDefault[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
