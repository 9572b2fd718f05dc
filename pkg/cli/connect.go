package cli

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
)

// defaultURL is where a router listens when nobody says otherwise.
const defaultURL = "nats://127.0.0.1:4222"

// connection holds the flags that say which server to ask and how to be let in.
type connection struct {
	url, creds, ca string
}

func (c *connection) addFlags(cmd *cobra.Command, env Env) {
	f := cmd.Flags()
	f.StringVar(&c.url, "nats", "", "ask the router at this `URL` (DLOG_URL; default "+defaultURL+")")
	f.StringVar(&c.creds, "creds", env.getenv("DLOG_CREDS", ""), "credentials `FILE` of NATS (DLOG_CREDS)")
	f.StringVar(&c.ca, "ca", env.getenv("DLOG_CA", ""), "certificate authority `FILE` to trust (DLOG_CA)")
}

// dial connects once: a command that a person waits for says at once that nobody answers.
func (c connection) dial(env Env, name string) (*nats.Conn, error) {
	server := c.url
	if server == "" {
		server = env.getenv("DLOG_URL", defaultURL)
	}
	opts := []nats.Option{
		nats.Name(name), nats.Timeout(5 * time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // a reader meets its errors where it reads
	}
	if c.creds != "" {
		if err := readable(c.creds); err != nil {
			return nil, usagef("read credentials: %w", err)
		}
		opts = append(opts, nats.UserCredentials(c.creds))
	}
	if c.ca != "" {
		if err := readable(c.ca); err != nil {
			return nil, usagef("read certificate authority: %w", err)
		}
		opts = append(opts, nats.RootCAs(c.ca))
	}
	nc, err := nats.Connect(server, opts...)
	if err != nil {
		return nil, explainDial(redact(server), err)
	}
	return nc, nil
}

func explainDial(server string, err error) error {
	switch {
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("connect to %s: nobody answers there; is dlog-router running? --nats or DLOG_URL names another address", server)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired):
		return fmt.Errorf("connect to %s: the server does not accept these credentials (--creds or DLOG_CREDS)", server)
	default:
		return fmt.Errorf("connect to %s: %w", server, err)
	}
}

// redact removes user and password from a URL before it is shown.
func redact(server string) string {
	u, err := url.Parse(server)
	if err != nil || u.User == nil {
		return server
	}
	u.User = nil
	return u.String()
}

func readable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}
