// Structure is a program with tasks and nothing else of dlog: entries go to standard output, and no NATS is linked.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/structure"
)

func main() {
	p, err := structure.New(structure.Config{Service: "shop", Out: structure.Writer(os.Stdout)})
	if err != nil {
		fmt.Fprintln(os.Stderr, "structure:", err)
		os.Exit(1)
	}
	if err := placeOrder(context.Background(), p); err == nil {
		fmt.Fprintln(os.Stderr, "structure: the error is gone")
		os.Exit(1)
	}
}

func placeOrder(ctx context.Context, p *structure.Process) (err error) {
	ctx, t := p.Start(ctx, "place-order", structure.Str("order", "A-17"))
	defer t.End(&err)
	zerolog.Ctx(ctx).Info().Int("n", 3).Msg("reserved")
	return p.Do(ctx, "charge-card", func(ctx context.Context) error {
		logger := p.Attach(zerolog.New(os.Stderr))
		logger.Warn().Ctx(ctx).Msg("the bank is slow")
		return errors.New("card declined")
	})
}
