// Package agent drives pkg/agent against a real server: real pipes, real programs, real kills.
package agent

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/agent"
	"github.com/dlog-fabric/dlog/pkg/cli"
	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// childEnv makes the test binary a program that logs with dlog, agentEnv dlog-agent itself.
const (
	childEnv = "DLOG_TEST_CHILD"
	agentEnv = "DLOG_TEST_AGENT"
)

func TestMain(m *testing.M) {
	if os.Getenv(agentEnv) != "" {
		os.Unsetenv(agentEnv) // for the programs that it runs
		os.Exit(cli.Agent())
	}
	if os.Getenv(childEnv) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

// child is a program with two tasks in one another; the argument "fail" makes the inner one fail.
func child() int {
	d, err := dlog.Open(dlog.Config{Service: "child"})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 9
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	err = d.Do(ctx, "outer", func(ctx context.Context) error {
		zerolog.Ctx(ctx).Info().Msg("in the child")
		return d.Do(ctx, "inner", func(context.Context) error {
			if len(os.Args) > 1 && os.Args[1] == "fail" {
				return fmt.Errorf("card declined")
			}
			return nil
		})
	})
	fmt.Println("the child has spoken")
	if closeErr := d.Close(ctx); closeErr != nil {
		return 8
	}
	if err != nil {
		return 1
	}
	return 0
}

// world is a server with the stream IN.
type world struct {
	t   *testing.T
	url string
	js  jetstream.JetStream
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := bareWorld(t)
	if err := stream.Ensure(context.Background(), w.js, stream.SpecIn("dlog", stream.Keep{})); err != nil {
		t.Fatal(err)
	}
	return w
}

// bareWorld is a server that stores nothing.
func bareWorld(t *testing.T) *world {
	t.Helper()
	s, err := natsd.Start(context.Background(), natsd.Config{Listen: "127.0.0.1:0", Data: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, url: s.URL(), js: js}
}

// open makes an outlet; what it says goes to the buffer.
func (w *world) open(cfg agent.Config) (*agent.Outlet, *said) {
	w.t.Helper()
	said := &said{}
	cfg.URL, cfg.Stderr = w.url, said
	o, err := agent.Open(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return o, said
}

// done closes an outlet, which must have stored everything.
func (w *world) done(o *agent.Outlet) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := o.Close(ctx); err != nil {
		w.t.Fatal(err)
	}
}

// An item is a stored entry.
type item struct {
	subject string
	entry.Entry
}

// stored returns what IN holds, in its order, but for what processes say about themselves.
func (w *world) stored() []item {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var all []item
	err := stream.Read(ctx, w.js, stream.ReadConfig{Stream: "DLOG_IN", StopAtEnd: true}, func(p stream.Pack) error {
		for line := range stream.Lines(p.Data) {
			e, err := entry.Parse(bytes.Clone(line))
			if err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			switch e.Meta.Event {
			case entry.Birth, entry.Beat, entry.Death:
			default:
				all = append(all, item{p.Subject, e})
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// forest puts what is stored together.
func (w *world) forest() *tree.Forest {
	f := tree.New()
	for _, it := range w.stored() {
		f.Add(it.Entry)
	}
	return f
}

// root is the one tree that there must be, and it must be complete.
func (w *world) root() *tree.Task {
	w.t.Helper()
	roots := w.forest().Roots()
	if len(roots) != 1 {
		w.t.Fatalf("%d trees, want one", len(roots))
	}
	if n := roots[0].MissingCount(); n != 0 {
		w.t.Errorf("%d entries are missing", n)
	}
	return roots[0]
}

// said is a buffer that may be written and read at the same time.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
