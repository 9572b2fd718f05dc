package natsd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ErrInUse is in the error of Start when another running server holds the data directory.
var ErrInUse = errors.New("in use by another server")

// ErrWrite is in the error of Health after the server failed to write to its files. It stores nothing more until it is started
// anew, even when there is room again.
var ErrWrite = errors.New("cannot write")

// readyWait bounds the time between the end of recovery, which may be long and is not bounded, and the first connection.
const readyWait = 10 * time.Second

// Server is a running server. Its methods may be called from any goroutine.
type Server struct {
	nats *server.Server
	data string
	lock *dirLock
	self *server.User // the program's own user, where there are users
	tls  bool

	closing sync.Once
}

// Start starts a server and returns when it accepts connections, after its streams have been recovered. Cancelling ctx while it starts
// stops it; later ctx has no meaning, and the caller must call Close.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	host, port, err := cfg.address()
	if err != nil {
		return nil, err
	}
	if cfg.Data == "" {
		return nil, errors.New("data directory: not set")
	}
	lock, err := lockDir(cfg.Data)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, cfg, host, port)
	if err != nil {
		lock.release()
		return nil, err
	}
	s.lock = lock
	return s, nil
}

func start(ctx context.Context, cfg Config, host string, port int) (*Server, error) {
	// Asked before the server recovers its streams: that may take long, and a taken port is known at once.
	if err := portFree(host, port); err != nil {
		return nil, err
	}
	_, size, err := DiskSpace(cfg.Data)
	if err != nil {
		return nil, err
	}
	s := &Server{data: cfg.Data, tls: cfg.TLS != nil}
	if !cfg.open() {
		s.self = &server.User{Username: "dlog-" + rand.Text(), Password: rand.Text() + rand.Text()}
		cfg.Users = append(append([]*server.User(nil), cfg.Users...), s.self)
	}
	opts, err := cfg.options(host, port, size)
	if err != nil {
		return nil, err
	}
	s.nats, err = server.NewServer(opts)
	if err != nil {
		return nil, fmt.Errorf("configure NATS server: %w", err)
	}
	log := &adapter{log: cfg.Log}
	s.nats.SetLoggerV2(log, false, false, false)
	if err := s.await(ctx, log); err != nil {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
		return nil, err
	}
	return s, nil
}

// await runs the server's start, which returns when it listens, and gives up when ctx ends first.
func (s *Server) await(ctx context.Context, log *adapter) error {
	started := make(chan struct{})
	go func() {
		defer close(started)
		s.nats.Start()
	}()
	select {
	case <-started:
	case <-ctx.Done():
		s.nats.Shutdown()
		<-started
		return fmt.Errorf("start NATS server: %w", context.Cause(ctx))
	}
	if reason := log.firstFatal(); reason != "" {
		return fmt.Errorf("start NATS server: %s", reason)
	}
	if !s.nats.ReadyForConnections(readyWait) {
		return fmt.Errorf("start NATS server: not ready %v after recovery", readyWait)
	}
	return nil
}

func portFree(host string, port int) error {
	if port == 0 {
		return nil
	}
	at := net.JoinHostPort(host, strconv.Itoa(port))
	l, err := net.Listen("tcp", at)
	if err == nil {
		return l.Close()
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen %s: the port is taken by another program (choose another address, or port 0 for any free one): %w", at, syscall.EADDRINUSE)
	}
	return fmt.Errorf("listen %s: %w", at, cause(err))
}

// cause strips the address that net repeats in its errors.
func cause(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// URL is where clients connect, with the port really bound.
func (s *Server) URL() string { return s.nats.ClientURL() }

// Addr is the bound address as host:port.
func (s *Server) Addr() string { return s.nats.Addr().String() }

// Data is the directory of the streams.
func (s *Server) Data() string { return s.data }

// Connect connects the program that embeds the server: over loopback, which is faster than a pipe inside the process, or through
// such a pipe where connections from outside must speak TLS.
func (s *Server) Connect(opts ...nats.Option) (*nats.Conn, error) { return s.connect(s.tls, opts) }

// ConnectInside connects through a pipe inside the process: no socket, but slower than loopback.
func (s *Server) ConnectInside(opts ...nats.Option) (*nats.Conn, error) { return s.connect(true, opts) }

func (s *Server) connect(inside bool, opts []nats.Option) (*nats.Conn, error) {
	opts = append([]nats.Option(nil), opts...)
	if inside {
		opts = append(opts, nats.InProcessServer(s.nats))
	}
	if s.self != nil {
		opts = append(opts, nats.UserInfo(s.self.Username, s.self.Password))
	}
	c, err := nats.Connect(s.URL(), opts...)
	if err != nil {
		return nil, fmt.Errorf("connect to the embedded server: %w", err)
	}
	return c, nil
}

// recheckWait is longer than making or deleting a stream takes.
const recheckWait = 200 * time.Millisecond

// Health is nil while the server can store; otherwise it says what is wrong. After a write error (a full file system) it is an
// ErrWrite until the server is started anew.
func (s *Server) Health() error {
	h := s.nats.Healthz(&server.HealthzOptions{})
	if strings.Contains(h.Error, "could not be recovered") {
		// The server compares directories with streams, and while one is being made or deleted they differ (2.15).
		time.Sleep(recheckWait)
		h = s.nats.Healthz(&server.HealthzOptions{})
	}
	if h.Error == "" {
		return nil
	}
	if strings.Contains(h.Error, "write error") { // the server has no other sign for it (2.15)
		return fmt.Errorf("NATS server: %w: %s", ErrWrite, h.Error)
	}
	return fmt.Errorf("NATS server: %s", h.Error)
}

// Running reports whether the server has not been stopped, by Close or by itself.
func (s *Server) Running() bool { return s.nats.Running() }

// Close stops the server, waits until its files are closed and gives the data directory free. Calling it again does nothing.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.nats.Shutdown()
		s.nats.WaitForShutdown()
		s.lock.release()
	})
}
