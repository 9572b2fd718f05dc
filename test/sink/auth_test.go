package sink_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/natsd"
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// TestLeastPermission: a team's user may do no more than what a sink needs. It cannot make its durable, says so, and carries on
// when the router has made it; resets, takeovers and dead letters need nothing else.
func TestLeastPermission(t *testing.T) {
	b := &bed{t: t, dir: t.TempDir()}
	api := func(op string) string { return "$JS.API." + op + ".DLOG_TO_payments" }
	users := []*server.User{
		{Username: "router", Password: "r"},
		{Username: "team", Password: "t", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{
				api("CONSUMER.INFO") + ".payments", api("CONSUMER.MSG.NEXT") + ".payments", api("CONSUMER.RESET") + ".payments",
				api("CONSUMER.UNPIN") + ".payments", "$JS.ACK.DLOG_TO_payments.payments.>", api("STREAM.INFO"), api("DIRECT.GET"),
				"dlog.dead.*.>",
			}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_team.>"}},
		}},
	}
	srv, err := natsd.Start(t.Context(), natsd.Config{Listen: "127.0.0.1:0", Data: b.data(), Users: users})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(srv.Close)
	b.addr = srv.Addr()
	dial := func(opts ...nats.Option) *nats.Conn {
		c, err := nats.Connect(srv.URL(), opts...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	b.conn = dial(nats.UserInfo("router", "r"))
	if b.js, err = jetstream.New(b.conn); err != nil {
		t.Fatal(err)
	}
	b.ensure(stream.SpecDead("dlog", stream.Keep{}))
	b.ensurePayments()
	s := b.source("payments")
	s.say(5, 2)
	s.publish([]byte("no JSON\n"), 1, false)

	cfg, err := sink.Decode("test.toml", []byte(b.config("payments")), kinds)
	if err != nil {
		t.Fatal(err)
	}
	team := dial(nats.UserInfo("team", "t"), nats.CustomInboxPrefix("_INBOX_team"), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}))
	g, err := sink.New(cfg, sink.Options{Conn: team, Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	eventually(t, "it says that it may not make its consumer", func() bool { return strings.Contains(g.Status()[0].Error, "could not be made") })
	if _, err := b.js.CreateConsumer(t.Context(), "DLOG_TO_payments", sink.ConsumerConfig("payments")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "10 lines", func() bool { return count(b.file("payments")) == 10 })
	eventually(t, "the dead letter", func() bool { return len(b.dead()) == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.once(b.file("payments"))
}
