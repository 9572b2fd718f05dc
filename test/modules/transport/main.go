// Transport is a program whose lines travel and nothing else of dlog: any logger, no tasks, no record.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/dlog-fabric/dlog/pkg/transport"
)

func main() {
	if err := run(os.Getenv("DLOG_URL")); err != nil {
		fmt.Fprintln(os.Stderr, "transport:", err)
		os.Exit(1)
	}
}

func run(url string) error {
	t, err := transport.Open(transport.Config{URL: url})
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(t.Writer("shop"), nil))
	logger.Info("reserved", "n", 3)
	logger.Error("card declined")
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return t.Close(ctx)
}
