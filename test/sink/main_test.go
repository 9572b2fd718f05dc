// Package sink_test runs sinks against a real server: what they promise holds when processes are killed, streams are rolled back
// and destinations fail.
package sink_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/console"
	"github.com/dlog-fabric/dlog/pkg/sink/file"
)

var kinds = map[string]sink.NewKind{"console": console.New, "file": file.New}

// childConfig, in the environment, makes the test binary a sink process of its own, to be killed.
const childConfig = "DLOG_TEST_SINK_CONFIG"

func TestMain(m *testing.M) {
	if path := os.Getenv(childConfig); path != "" {
		if err := child(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func child(path string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	cfg, err := sink.Load(path, kinds)
	if err != nil {
		return err
	}
	g, err := sink.New(cfg, sink.Options{Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel)})
	if err != nil {
		return err
	}
	defer g.ReopenOnHangup()()
	return g.Run(ctx)
}
