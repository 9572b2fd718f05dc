// Package dlognats takes tasks over NATS, with any library that has NATS headers: core NATS and JetStream.
//
//	m := nats.NewMsg("orders.placed")
//	m.Header = dlognats.Inject(ctx, m.Header, m.Subject)
//	nc.PublishMsg(m)
//
//	nc.Subscribe("orders.placed", func(m *nats.Msg) {
//		dlognats.Run(d, m.Header, "mail-invoice", func(ctx context.Context) error { … })
//	})
//
// A message that is delivered twice is handled twice, and both times are in the tree, as siblings. Whoever may publish on a subject is believed: for subjects that
// strangers reach, pass [Extract]'s result to dlog.Link and nil to Run instead.
package dlognats

import (
	"context"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/nats-io/nats.go"
)

// Inject hands the task of ctx over: it sets the headers Dlog-Task and traceparent, and returns the header, a new one for nil. A traceparent that is there
// already stays. To says to whom, the subject for instance; it is the message of the hand-over entry. Each message needs a call of its own. Without a
// task in ctx the header is returned as it is.
func Inject(ctx context.Context, h nats.Header, to string) nats.Header {
	token, traceparent := dlog.TaskFrom(ctx).Headers(to)
	if token == "" {
		return h
	}
	if h == nil {
		h = nats.Header{}
	}
	h.Set(task.HeaderTask, token)
	if h.Get(task.HeaderTraceparent) == "" {
		h.Set(task.HeaderTraceparent, traceparent)
	}
	return h
}

// Extract returns the token of a message for [dlog.Client.Import]: dlog's own or, without one, a W3C traceparent; "" if there is neither.
func Extract(h nats.Header) string {
	if token := h.Get(task.HeaderTask); token != "" {
		return token
	}
	return h.Get(task.HeaderTraceparent)
}

// Run handles a message as a task that continues the sender's, or begins a trace where the message carries none. It returns what fn returns, so that the
// message can be acknowledged or not.
func Run(d *dlog.Client, h nats.Header, name string, fn func(context.Context) error, fields ...dlog.Field) error {
	return RunContext(context.Background(), d, h, name, fn, fields...)
}

// RunContext is Run with a context for fn, that of the subscription for instance.
func RunContext(ctx context.Context, d *dlog.Client, h nats.Header, name string, fn func(context.Context) error, fields ...dlog.Field) error {
	return d.Tasks().DoImport(ctx, Extract(h), name, fn, fields...)
}
