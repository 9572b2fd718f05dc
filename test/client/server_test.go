package client

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/natsd"
)

// serverEnv makes the test binary a NATS server: one that can be killed and stopped
// without mercy, which one inside the test's process cannot.
const serverEnv = "DLOG_TEST_SERVER"

func TestMain(m *testing.M) {
	if spec := os.Getenv(serverEnv); spec != "" {
		serve(spec)
		return
	}
	if spec := os.Getenv(clientEnv); spec != "" {
		logUntilKilled(spec)
		return
	}
	os.Exit(m.Run())
}

func serve(spec string) {
	listen, data, _ := strings.Cut(spec, " ")
	s, err := natsd.Start(context.Background(), natsd.Config{Listen: listen, Data: data})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	bufio.NewReader(os.Stdin).ReadByte() // ends when the test does
	s.Close()
}

// natsServer is a NATS server as its own process.
type natsServer struct {
	tb   testing.TB
	addr string
	data string
	cmd  *exec.Cmd
}

// startServer starts one with an empty IN stream.
func startServer(tb testing.TB) *natsServer {
	tb.Helper()
	s := bareServer(tb)
	s.makeStream()
	return s
}

func bareServer(tb testing.TB) *natsServer {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &natsServer{tb: tb, addr: l.Addr().String(), data: tb.TempDir()}
	l.Close()
	tb.Cleanup(s.kill)
	s.start()
	return s
}

func (s *natsServer) url() string { return "nats://" + s.addr }

func (s *natsServer) start() {
	s.tb.Helper()
	s.cmd = exec.Command(os.Args[0], "-test.run=^$")
	s.cmd.Env = append(os.Environ(), serverEnv+"="+s.addr+" "+s.data)
	s.cmd.Stderr = os.Stderr
	if _, err := s.cmd.StdinPipe(); err != nil {
		s.tb.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.tb.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.tb.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "nats://") {
		s.tb.Fatalf("start server: %q, %v", line, err)
	}
}

// kill is kill -9.
func (s *natsServer) kill() {
	if s.cmd != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *natsServer) connect() jetstream.JetStream {
	s.tb.Helper()
	nc, err := nats.Connect(s.url(), nats.MaxReconnects(-1))
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		s.tb.Fatal(err)
	}
	return js
}

func (s *natsServer) makeStream() {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := s.connect().CreateStream(ctx, inStream()); err != nil {
		s.tb.Fatal(err)
	}
}

func inStream() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: "DLOG_IN", Subjects: []string{"dlog.in.>"}, Storage: jetstream.FileStorage,
		Compression: jetstream.S2Compression, Duplicates: 20 * time.Second, MaxBytes: 4 << 30, AllowDirect: true,
	}
}

// readAll gives every message of IN in order.
func (s *natsServer) readAll(f func(jetstream.Msg)) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := s.connect().Stream(ctx, "DLOG_IN")
	if err != nil {
		s.tb.Fatal(err)
	}
	last := st.CachedInfo().State.LastSeq
	if last == 0 {
		return
	}
	c, err := st.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		s.tb.Fatal(err)
	}
	for {
		m, err := c.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err != nil {
			s.tb.Fatal(err)
		}
		f(m)
		if meta, err := m.Metadata(); err != nil {
			s.tb.Fatal(err)
		} else if meta.Sequence.Stream >= last {
			return
		}
	}
}
