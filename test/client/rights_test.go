package client

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// inside starts a server in the test's process, for what needs its options.
func inside(t *testing.T, cfg natsd.Config) *natsd.Server {
	t.Helper()
	cfg.Listen, cfg.Data = "127.0.0.1:0", t.TempDir()
	s, err := natsd.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func inStreamOf(t *testing.T, nc *nats.Conn, err error) (jetstream.JetStream, func() uint64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js, func() uint64 {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		st, err := js.Stream(ctx, "DLOG_IN")
		if err != nil {
			t.Fatal(err)
		}
		return st.CachedInfo().State.Msgs
	}
}

func makeIn(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := js.CreateStream(ctx, inStream()); err != nil {
		t.Fatal(err)
	}
}

// A producer of least permission: its own service, its own inbox, an nkey, TLS.
func TestLeastPermission(t *testing.T) {
	conf, ca := selfSigned(t)
	user, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, err := user.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := user.Seed()
	if err != nil {
		t.Fatal(err)
	}
	seedFile := filepath.Join(t.TempDir(), "app.nk")
	if err := os.WriteFile(seedFile, seed, 0o600); err != nil {
		t.Fatal(err)
	}
	s := inside(t, natsd.Config{TLS: conf, Users: []*server.User{{Username: "admin", Password: "secret"}}, Nkeys: []*server.NkeyUser{{Nkey: public, Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"dlog.in.app.>"}},
		Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_app.>"}},
	}}}})
	nc, err := nats.Connect(s.URL(), nats.UserInfo("admin", "secret"), nats.RootCAs(ca))
	js, count := inStreamOf(t, nc, err)
	makeIn(t, js)

	tr, said := open(t, transport.Config{URL: s.URL(), NKey: seedFile, CA: ca, InboxPrefix: "_INBOX_app"})
	tr.Writer("app").Write([]byte(`{"level":"info","message":"mine"}`))
	flush(t, tr)
	if n := count(); n != 1 {
		t.Fatalf("%d messages", n)
	}
	tr.Writer("other").Write([]byte("not mine"))
	said.await(t, `does not allow to publish to "dlog.in.other.none.-"`)
	tr.Writer("app").Write([]byte(`{"level":"info","message":"mine too"}`))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := tr.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 entries not yet stored") {
		t.Errorf("close: %v", err)
	}
	if n := count(); n != 2 {
		t.Errorf("%d messages", n)
	}

	_, said = open(t, transport.Config{URL: s.URL(), NKey: seedFile, CA: ca})
	said.await(t, "set the inbox prefix")
	_, said = open(t, transport.Config{URL: s.URL(), NKey: seedFile})
	said.await(t, "certificate")
	_, said = open(t, transport.Config{URL: strings.Replace(s.URL(), "://", "://admin:wrongsecret@", 1), CA: ca})
	said.await(t, "Authorization Violation")
	for _, line := range said.lines {
		if strings.Contains(line, "wrongsecret") {
			t.Errorf("a secret was said: %q", line)
		}
	}
}

// selfSigned makes a server's TLS configuration and the file of its CA.
func selfSigned(t *testing.T) (*tls.Config, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, file
}

// The application is up before the router has made the stream, and logs through
// nothing but the writer.
func TestNoStreamYet(t *testing.T) {
	s := inside(t, natsd.Config{})
	nc, err := s.Connect()
	js, _ := inStreamOf(t, nc, err)
	tr, said := open(t, transport.Config{URL: s.URL(), Encoding: stream.EncodingS2})
	logger := zerolog.New(tr.Writer("app")).With().Timestamp().Logger()
	for i := range 100 {
		logger.Info().Int("i", i).Msg("early")
	}
	said.await(t, "no responders")
	makeIn(t, js)
	flush(t, tr)
	said.await(t, "over:")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	st, err := js.Stream(ctx, "DLOG_IN")
	if err != nil {
		t.Fatal(err)
	}
	entries := 0
	for seq := uint64(1); seq <= st.CachedInfo().State.LastSeq; seq++ {
		m, err := st.GetMsg(ctx, seq)
		if err != nil {
			t.Fatal(err)
		}
		p, err := stream.DecodePack(m.Subject, m.Header, m.Data, stream.Limits{})
		if err != nil || p.Again || p.Encoding != stream.EncodingS2 || p.Subject != "dlog.in.app.info.-" {
			t.Errorf("pack %+v, %v", p, err)
		}
		entries += p.Count
	}
	if entries != 100 {
		t.Errorf("%d entries", entries)
	}
}

func TestGoroutines(t *testing.T) {
	s := inside(t, natsd.Config{})
	nc, err := s.Connect()
	js, _ := inStreamOf(t, nc, err)
	makeIn(t, js)
	tr, _ := open(t, transport.Config{URL: s.URL()})
	tr.Writer("app").Write([]byte("hello"))
	flush(t, tr)
	if n := ours(); n != 1 {
		t.Errorf("%d goroutines of ours, want the sender alone", n)
	}
	if err := tr.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := ours(); n != 0 {
		t.Errorf("%d goroutines of ours after close", n)
	}
}

// ours counts the goroutines that pkg/transport started.
func ours() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "created by github.com/dlog-fabric/dlog/pkg/transport.")
}
