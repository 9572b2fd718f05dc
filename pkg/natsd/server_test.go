package natsd_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/dlog-fabric/dlog/pkg/natsd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, cfg natsd.Config) *natsd.Server {
	t.Helper()
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s, err := natsd.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStoresAndComesBack(t *testing.T) {
	dir := t.TempDir()
	store := func(want uint64) {
		t.Helper()
		s := start(t, natsd.Config{Data: dir})
		defer s.Close()
		if err := s.Health(); err != nil {
			t.Fatal(err)
		}
		nc, err := s.Connect()
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "S", Subjects: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
		ack, err := js.Publish(ctx, "a", []byte("x"))
		if err != nil || ack.Sequence != want {
			t.Fatalf("publish: %v %v, want sequence %d", ack, err, want)
		}
	}
	store(1)
	store(2)
}

func TestConnectInside(t *testing.T) {
	s := start(t, natsd.Config{Data: t.TempDir()})
	nc, err := s.ConnectInside()
	if err != nil {
		t.Fatal(err)
	}
	nc.Close()
}

func TestRefusesToStart(t *testing.T) {
	f := func(cfg natsd.Config, want string) {
		t.Helper()
		s, err := natsd.Start(context.Background(), cfg)
		if err == nil {
			s.Close()
			t.Fatalf("started; want an error with %q", want)
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Fatalf("got %q, want one line with %q", err, want)
		}
	}
	dir := t.TempDir()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	user := []*server.User{{Username: "u", Password: "p"}}

	f(natsd.Config{Listen: taken.Addr().String(), Data: filepath.Join(dir, "a")}, "the port is taken")
	f(natsd.Config{Listen: "127.0.0.1:0", Data: filepath.Join(file, "b")}, "not a directory")
	f(natsd.Config{Listen: "127.0.0.1:0"}, "data directory: not set")
	f(natsd.Config{Listen: "0.0.0.0:0", Data: dir}, "needs users and TLS")
	f(natsd.Config{Listen: ":0", Data: dir}, "needs users and TLS")
	f(natsd.Config{Listen: "0.0.0.0:0", Data: dir, Users: user}, "needs users and TLS")
	f(natsd.Config{Listen: "0.0.0.0:0", Data: dir, TLS: &tls.Config{MinVersion: tls.VersionTLS13}}, "needs users and TLS")
	f(natsd.Config{Listen: "4222", Data: dir}, "want host:port")
	f(natsd.Config{Listen: "localhost:http-alt", Data: dir}, "not a number")
	f(natsd.Config{Listen: "192.0.2.1:0", Data: dir, Users: user, TLS: &tls.Config{MinVersion: tls.VersionTLS13}}, "listen")
}

func TestDirectoryInUse(t *testing.T) {
	dir := t.TempDir()
	first := start(t, natsd.Config{Data: dir})
	_, err := natsd.Start(context.Background(), natsd.Config{Listen: "127.0.0.1:0", Data: dir})
	if !errors.Is(err, natsd.ErrInUse) || !strings.Contains(err.Error(), "process ") {
		t.Fatalf("got %v", err)
	}
	first.Close()
	start(t, natsd.Config{Data: dir}).Close()
}

func TestUsers(t *testing.T) {
	s := start(t, natsd.Config{Data: t.TempDir(), Users: []*server.User{{Username: "app", Password: "secret"}}})
	nc, err := s.Connect()
	if err != nil {
		t.Fatalf("the embedding program is refused: %v", err)
	}
	nc.Close()
	connect := func(user, password string) error {
		nc, err := nats.Connect(s.URL(), nats.UserInfo(user, password))
		if err == nil {
			nc.Close()
		}
		return err
	}
	if err := connect("app", "secret"); err != nil {
		t.Errorf("the user is refused: %v", err)
	}
	if err := connect("app", "guess"); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("a wrong password: %v", err)
	}
	if err := connect("", ""); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("nobody: %v", err)
	}
}

func TestCancelledStart(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	s, err := natsd.Start(ctx, natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err == nil { // it was faster than the cancellation
		s.Close()
		return
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestDiskSpace(t *testing.T) {
	free, size, err := natsd.DiskSpace(t.TempDir())
	if err != nil || free == 0 || size < free {
		t.Fatalf("free %d of %d: %v", free, size, err)
	}
}
