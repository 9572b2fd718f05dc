package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// DefaultURL is where a router or an agent listens when nothing else was said.
const DefaultURL = "nats://127.0.0.1:4222"

// DefaultNamespace is the first token of all subjects when nothing else was said.
const DefaultNamespace = "dlog"

// Config says where to send and as whom. The zero value sends to DefaultURL without
// credentials, from a queue in memory.
type Config struct {
	// URL is one NATS URL or several separated by commas: nats://, tls://, ws:// or
	// wss://. Default DefaultURL. User, password or token may stand in it; they are
	// never printed.
	URL string
	// Creds is the path of a NATS credentials file (JWT and seed).
	Creds string
	// NKey is the path of a file with an nkey seed. At most one of Creds and NKey.
	NKey string
	// CA is the path of a PEM file with the authorities that the server's certificate
	// is checked against; it makes TLS compulsory. Default: the system's.
	CA string
	// Cert and Key are the paths of a client certificate and its key, both or none.
	Cert, Key string
	// InboxPrefix is where this user may receive answers, "_INBOX_app" for a
	// permission to subscribe to "_INBOX_app.>". Default: what the JWT of Creds
	// allows, else "_INBOX".
	InboxPrefix string
	// Name is what the server shows for the connection. Default: the program's name.
	Name string
	// Namespace is the first token of Writer's subjects. Default DefaultNamespace.
	Namespace string
	// Queue holds what is not yet stored. Default: one in memory (spool.NewMemory).
	// A queue that was passed in is not closed by Close.
	Queue spool.Queue
	// Encoding compresses the packs: "" (default) or "s2", which halves what travels
	// at a few per cent more CPU, and which tools like `nats sub` do not read.
	Encoding string
	// FatalTimeout is how long Writer.Close waits for the last entries to be stored.
	// Default 2 s.
	FatalTimeout time.Duration
	// Report receives one line for each distinct failure and one when it is over. It
	// is called from the sender's goroutine and may write to stderr, which is the
	// default, but never to a logger whose lines travel through this transport.
	Report func(line string)
}

func (c *Config) setDefaults() {
	setDefault(&c.URL, DefaultURL)
	setDefault(&c.Namespace, DefaultNamespace)
	setDefault(&c.Name, filepath.Base(os.Args[0]))
	if c.FatalTimeout <= 0 {
		c.FatalTimeout = 2 * time.Second
	}
	if c.Report == nil {
		c.Report = func(line string) { fmt.Fprintln(os.Stderr, "dlog: "+line) }
	}
}

func setDefault(s *string, to string) {
	if *s == "" {
		*s = to
	}
}

// options checks everything that can be checked without a server, so that a wrong URL
// or file is an error of Open, and makes the connection's options of it.
func (c *Config) options() (opts []nats.Option, err error) {
	var errs []error
	add := func(o nats.Option, err error) {
		if err != nil {
			errs = append(errs, err)
		} else if o != nil {
			opts = append(opts, o)
		}
	}
	errs = append(errs, checkURLs(c.URL))
	add(c.credentials())
	add(c.tls())
	if c.Encoding != stream.EncodingNone && c.Encoding != stream.EncodingS2 {
		errs = append(errs, fmt.Errorf("encoding %q: only \"s2\" is known", c.Encoding))
	}
	if strings.ContainsAny(c.InboxPrefix, " \t\r\n*>") || strings.HasSuffix(c.InboxPrefix, ".") {
		errs = append(errs, fmt.Errorf("inbox prefix %q: not a subject", c.InboxPrefix))
	} else if c.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.InboxPrefix))
	}
	return opts, errors.Join(errs...)
}

// checkURLs says what is wrong with a list of URLs without repeating their secrets.
func checkURLs(list string) error {
	for s := range strings.SplitSeq(list, ",") {
		s = strings.TrimSpace(s)
		full := s
		if !strings.Contains(full, "://") {
			full = "nats://" + full // as nats.go reads it
		}
		u, err := url.Parse(full)
		switch {
		case err != nil:
			return fmt.Errorf("url %q: not a URL", redact(s))
		case !strings.Contains(" nats tls ws wss ", " "+u.Scheme+" "):
			return fmt.Errorf("url %q: scheme %q is not nats, tls, ws or wss", redact(s), u.Scheme)
		case u.Hostname() == "":
			return fmt.Errorf("url %q: no host", redact(s))
		}
	}
	return nil
}

// redact leaves out what stands before the "@" of each URL in a list: a user with a
// password, or a token.
func redact(list string) string {
	urls := strings.Split(list, ",")
	for i, s := range urls {
		s = strings.TrimSpace(s)
		at := strings.LastIndexByte(s, '@')
		if at >= 0 {
			scheme, _, ok := strings.Cut(s[:at], "://")
			if s = s[at+1:]; ok {
				s = scheme + "://" + s
			}
		}
		urls[i] = s
	}
	return strings.Join(urls, ",")
}

func (c *Config) credentials() (nats.Option, error) {
	switch {
	case c.Creds != "" && c.NKey != "":
		return nil, errors.New("credentials: a credentials file and an nkey file were given, one is enough")
	case c.Creds != "":
		return c.creds()
	case c.NKey != "":
		return c.nkey()
	}
	return nil, nil
}

// creds checks the file now; the connection reads it again at each connect, so that
// renewed credentials are taken up.
func (c *Config) creds() (nats.Option, error) {
	text, err := os.ReadFile(c.Creds)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	token, err := nkeys.ParseDecoratedJWT(text)
	if err != nil || strings.Count(token, ".") != 2 {
		return nil, fmt.Errorf("read credentials: %s: no JWT in it", c.Creds)
	}
	if _, err := nkeys.ParseDecoratedNKey(text); err != nil {
		return nil, fmt.Errorf("read credentials: %s: no seed in it", c.Creds)
	}
	if c.InboxPrefix == "" {
		c.InboxPrefix = inboxOf(token)
	}
	return nats.UserCredentials(c.Creds), nil
}

func (c *Config) nkey() (nats.Option, error) {
	o, err := nats.NkeyOptionFromSeed(c.NKey)
	if err != nil {
		if _, statErr := os.Stat(c.NKey); statErr != nil {
			return nil, fmt.Errorf("read nkey: %w", statErr)
		}
		return nil, fmt.Errorf("read nkey: %s: no user's seed in it", c.NKey)
	}
	return o, nil
}

func (c *Config) tls() (nats.Option, error) {
	if c.CA == "" && c.Cert == "" && c.Key == "" {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read CA: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read CA: %s: no certificate in it", c.CA)
		}
	}
	if c.Cert != "" || c.Key != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return nats.Secure(conf), nil
}
