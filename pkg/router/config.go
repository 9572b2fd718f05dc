package router

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// Defaults of a Config.
const (
	DefaultNamespace = "dlog"
	DefaultData      = "dlog-data"
	DefaultHTTP      = "127.0.0.1:4281"
	// HTTPOff as the address of HTTP starts without it.
	HTTPOff = "off"
)

// Config is a router's configuration file: the rules, and where they work.
type Config struct {
	rule.File
	// Server is the embedded NATS server. It has no meaning when NATS names another one.
	Server Server `toml:"server"`
	// NATS is a server that exists already.
	NATS NATS `toml:"nats"`
	// In limits the stream of everything that was said; zero fields mean 7 days and 10 GiB. With the embedded server no stream
	// may take more than a fifth of the disk space that is free or its own.
	In Limits `toml:"in"`
}

// Server says where the embedded server listens and stores.
type Server struct {
	Listen string `toml:"listen"` // default 127.0.0.1:4222; port 0 picks a free one
	Data   string `toml:"data"`   // default dlog-data
	HTTP   string `toml:"http"`   // default 127.0.0.1:4281; "off": none. It has a meaning beside [nats], too
}

// NATS says how to reach a server that exists already.
type NATS struct {
	URLs  []string `toml:"urls"`
	Creds string   `toml:"creds"` // file with credentials
	CA    string   `toml:"ca"`    // file with certificates that the server's must descend from
}

// Limits say how much of a stream is kept.
type Limits struct {
	MaxAge   config.Duration `toml:"max_age"`
	MaxBytes config.Size     `toml:"max_bytes"`
}

func (l Limits) keep() stream.Keep {
	return stream.Keep{MaxAge: time.Duration(l.MaxAge), MaxBytes: int64(l.MaxBytes)}
}

// DefaultConfig is the configuration without a file: an embedded server, and one stream, "all", that gets everything.
func DefaultConfig() Config {
	c := base()
	c.File.Streams = []rule.StreamConfig{{Name: "all"}}
	c.File.Default = &rule.Default{To: []string{"all"}}
	return c
}

// base holds the defaults under a file.
func base() Config {
	return Config{
		File:   rule.File{Namespace: DefaultNamespace},
		Server: Server{Listen: natsd.DefaultListen, Data: DefaultData, HTTP: DefaultHTTP},
	}
}

// Load reads a configuration file and checks it, rules included. The error lists everything that is wrong with it.
func Load(path string) (Config, error) {
	c := base()
	if err := config.Load(path, &c); err != nil {
		return Config{}, err
	}
	dir := filepath.Dir(path)
	for _, p := range []*string{&c.NATS.Creds, &c.NATS.CA} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return c, nil
}

// Check loads a configuration file and runs the tests in it.
func Check(path string) error {
	c, err := Load(path)
	if err != nil {
		return err
	}
	set, err := rule.Compile(c.File)
	if err != nil {
		return err
	}
	return set.RunTests()
}

// Validate reports what is wrong, rules included.
func (c *Config) Validate() error {
	return errors.Join(c.File.Validate(), c.Server.Validate(), c.NATS.Validate())
}

// Validate reports what is wrong with the addresses.
func (s *Server) Validate() error {
	var listen error
	if s.Listen != "" {
		listen = natsd.CheckListen(s.Listen)
	}
	return errors.Join(listen, checkHTTP(s.HTTP))
}

// Validate reports what does not fit together.
func (n *NATS) Validate() error {
	if len(n.URLs) == 0 && (n.Creds != "" || n.CA != "") {
		return errors.New("creds or ca without urls")
	}
	return nil
}

// checkHTTP lets nothing but loopback pass: what the pages tell is not for everybody.
func checkHTTP(addr string) error {
	if addr == HTTPOff || addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("http: %q is not host:port", addr)
	}
	ip := net.ParseIP(host)
	if !strings.EqualFold(host, "localhost") && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("http: %s is reachable from outside; only loopback addresses are allowed", addr)
	}
	return nil
}
