package dlognats_test

import (
	"context"
	"errors"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/dlog/dlognats"
	"github.com/dlog-fabric/dlog/pkg/dlog/dlogtest"
	"github.com/nats-io/nats.go"
)

func TestAMessageContinuesItsSender(t *testing.T) {
	rec := dlogtest.New(t)
	d := rec.Client()
	ctx, tk := d.Start(context.Background(), "place-order")
	h := dlognats.Inject(ctx, nil, "orders.placed")
	tk.End(nil)
	failed := errors.New("no postman")
	if err := dlognats.Run(d, h, "mail-invoice", func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("Run: %v", err)
	}
	_ = dlognats.RunContext(context.Background(), d, h, "mail-invoice", func(context.Context) error { return nil })
	rec.Tree(`
		place-order: succeeded
		  > orders.placed
		  mail-invoice: *
		  mail-invoice: *
	`)
}

func TestHeaders(t *testing.T) {
	rec := dlogtest.New(t)
	ctx, tk := rec.Client().Start(context.Background(), "x")
	defer tk.End(nil)
	const foreign = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	h := dlognats.Inject(ctx, nats.Header{"traceparent": {foreign}}, "s")
	if h.Get("traceparent") != foreign || dlognats.Extract(h) != h.Get("Dlog-Task") || h.Get("Dlog-Task") == "" {
		t.Errorf("header %v", h)
	}
	if got := dlognats.Extract(nats.Header{"traceparent": {foreign}}); got != foreign {
		t.Errorf("Extract: %q", got)
	}
	if h := dlognats.Inject(context.Background(), nil, "s"); h != nil || dlognats.Extract(nil) != "" {
		t.Errorf("header without a task: %v", h)
	}
}

func ExampleInject() {
	ctx := context.Background() // of a task
	m := nats.NewMsg("orders.placed")
	m.Header = dlognats.Inject(ctx, m.Header, m.Subject)
}
