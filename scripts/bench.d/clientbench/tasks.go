package main

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog"
)

func benchTasks(rounds, calls int) error {
	b, err := newBench()
	if err != nil {
		return err
	}
	defer b.close()
	nowhere := plain()
	variants := []variant{{name: "zerolog → nowhere, one call", call: func(i int) { say(nowhere.Info(), i, pads[1].text) }}}
	for _, p := range b.places() {
		d, empty, err := b.client(p, nil)
		if err != nil {
			return err
		}
		ctx, _ := d.Start(context.Background(), "place-order")
		variants = append(variants,
			variant{name: "start + end, " + p.name, clean: empty, bar: taskBar, call: func(int) {
				_, t := d.Start(ctx, "charge-card", dlog.Str("order", "A-1"))
				t.End(nil)
			}},
			variant{name: "start + end + two calls, " + p.name, clean: empty, call: func(i int) {
				ctx, t := d.Start(ctx, "charge-card", dlog.Str("order", "A-1"))
				say(zerolog.Ctx(ctx).Info(), i, pads[1].text)
				say(zerolog.Ctx(ctx).Info(), i, pads[1].text)
				t.End(nil)
			}},
		)
	}
	fmt.Printf("\na whole task beside one call with a line of 200 bytes, %d rounds of %d, CPU\n", rounds, calls/4)
	for i, f := range interleave(variants, rounds, calls/4, 1) {
		printRow(variants[i], f)
	}
	return nil
}
