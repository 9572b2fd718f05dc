// Record is a program with complete log records and nothing else of dlog: no tasks, no network.
package main

import (
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/record"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run() error {
	r, err := record.New(record.Config{Service: "shop", Out: os.Stdout, Fields: map[string]any{"region": "eu-1"}})
	if err != nil {
		return err
	}
	logger := r.Attach(zerolog.New(nil), "orders")
	logger.Info().Int("n", 3).Msg("reserved")
	logger.Warn().Msg("stock is low")
	return nil
}
