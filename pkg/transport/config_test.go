package transport

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"

	"github.com/dlog-fabric/dlog/pkg/spool"
)

func TestOpenRefusesInOneLine(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, []byte("nothing of use"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := func(cfg Config, want string) {
		t.Helper()
		tr, err := Open(cfg)
		if err == nil {
			tr.Close(t.Context())
			t.Fatalf("%+v opened, want %q", cfg, want)
		}
		if got := err.Error(); !strings.Contains(got, want) || strings.Contains(got, "\n") || strings.Contains(got, "secret") {
			t.Errorf("error %q, want one line with %q", got, want)
		}
	}
	f(Config{URL: "http://host"}, `url "http://host": scheme "http" is not nats, tls, ws or wss`)
	f(Config{URL: "nats://"}, `url "nats://": no host`)
	f(Config{URL: "nats://a:secret@host:port"}, `url "nats://host:port": not a URL`)
	f(Config{URL: "nats://ok,tls://secret@ho st"}, "not a URL")
	f(Config{Creds: filepath.Join(dir, "none")}, "read credentials: open "+dir)
	f(Config{Creds: bad}, bad+": no JWT in it")
	f(Config{NKey: filepath.Join(dir, "none")}, "read nkey: stat "+dir)
	f(Config{NKey: bad}, bad+": no user's seed in it")
	f(Config{NKey: bad, Creds: bad}, "one is enough")
	f(Config{CA: filepath.Join(dir, "none")}, "read CA: open")
	f(Config{CA: bad}, bad+": no certificate in it")
	f(Config{Cert: bad}, "read client certificate")
	f(Config{Encoding: "gzip"}, `encoding "gzip"`)
	f(Config{InboxPrefix: "_INBOX.*"}, "not a subject")
	f(Config{Namespace: "Not A Token"}, "open transport")
}

func TestRedact(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := redact(in); got != want {
			t.Errorf("redact(%q) = %q, want %q", in, got, want)
		}
	}
	f("nats://host:4222", "nats://host:4222")
	f("nats://user:p@ss@host", "nats://host")
	f("token@host, tls://t@b", "host,tls://b")
}

func TestInboxOfCredentials(t *testing.T) {
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	f := func(claims, want string) {
		t.Helper()
		jwt := "e30." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2ln"
		file := filepath.Join(t.TempDir(), "app.creds")
		text := "-----BEGIN NATS USER JWT-----\n" + jwt + "\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n" + string(seed) + "\n------END USER NKEY SEED------\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg := Config{Creds: file}
		cfg.setDefaults()
		if _, err := cfg.options(); err != nil {
			t.Fatal(err)
		}
		if cfg.InboxPrefix != want {
			t.Errorf("%s: inbox prefix %q, want %q", claims, cfg.InboxPrefix, want)
		}
	}
	f(`{"nats":{"sub":{"allow":["_INBOX_app.>"]}}}`, "_INBOX_app")
	f(`{"nats":{"sub":{"allow":["x.>","_INBOX.me.>"]}}}`, "_INBOX.me")
	f(`{"nats":{"sub":{"allow":["_INBOX.*.>"]}}}`, "")
	f(`{"nats":{}}`, "")
	f(`not json`, "")
}

// An application with the transport has one goroutine of ours and those of nats.go.
func TestOpenWithoutAServerStartsOneGoroutine(t *testing.T) {
	said := make(chan string, 1)
	tr, err := Open(Config{URL: "nats://127.0.0.1:1", Queue: spool.NewMemory(spool.Config{}), Report: func(s string) {
		select {
		case said <- s:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if line := <-said; !strings.Contains(line, "cannot reach nats://127.0.0.1:1: connect: connection refused") {
		t.Errorf("said %q", line)
	}
	if s := tr.Stats(); s.Connected || s.URL != "nats://127.0.0.1:1" {
		t.Errorf("stats %+v", s)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
