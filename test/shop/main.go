// Command shop is the example application of dlog: a shop of five processes that talk over HTTP and NATS and log through
// zerolog, slog and the standard log. It decides at random which orders fail, where and why, and keeps a book of its own, so
// that what dlog tells about it can be compared with what happened.
//
//	shop run --orders 40 --seed 7 --ledger FILE     starts the services, places the orders, stops the services
//	shop verify --ledger FILE --sink dlog-sink      asks dlog about every order and compares; exit code 1 on a difference
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// options are the flags of all modes.
type options struct {
	orders   int
	seed     uint64
	ledger   string
	nats     string // URL of the router, for the mail queue; the loggers read DLOG_URL
	sink     string
	upstream string // role checkout and gateway: the services they call, "name=URL,…"
	keep     bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shop:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("a mode is missing: run, verify, or a service (gateway, checkout, payments, inventory, mailer)")
	}
	var o options
	fs := flag.NewFlagSet("shop "+args[0], flag.ContinueOnError)
	fs.IntVar(&o.orders, "orders", 40, "orders to place")
	fs.Uint64Var(&o.seed, "seed", 1, "which orders fail, where and why")
	fs.StringVar(&o.ledger, "ledger", "shop.ledger", "the shop's own book")
	fs.StringVar(&o.nats, "nats", os.Getenv("DLOG_URL"), "NATS server of the mail queue and of dlog")
	fs.StringVar(&o.sink, "sink", "dlog-sink", "the dlog-sink command, for verify")
	fs.StringVar(&o.upstream, "upstream", "", "services to call, name=URL,…")
	fs.BoolVar(&o.keep, "keep", false, "go on placing orders until interrupted")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	switch mode := args[0]; mode {
	case "run":
		return runShop(ctx, o, out)
	case "verify":
		return verify(ctx, o, out)
	default:
		start, ok := services[mode]
		if !ok {
			return fmt.Errorf("unknown mode %q: run, verify, or a service (gateway, checkout, payments, inventory, mailer)", mode)
		}
		return serve(ctx, mode, start, o, out)
	}
}
