package dlogtest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/dlog/dlogtest"
	"github.com/rs/zerolog"
)

// spy is a test that notes what would have failed it.
type spy struct {
	testing.TB
	failures []string
	cleanups []func()
}

func (s *spy) Errorf(format string, args ...any) { s.failures = append(s.failures, format) }
func (s *spy) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }
func (s *spy) end() {
	for _, f := range s.cleanups {
		f()
	}
}

func placeOrder(ctx context.Context, d *dlog.Client) (err error) {
	ctx, t := d.Start(ctx, "place-order", dlog.Str("order", "A-1"), dlog.Str("note", "two words"))
	defer t.End(&err)
	zerolog.Ctx(ctx).Info().Int("n", 3).Msg("reserved")
	t.Export("mailer")
	return d.Do(ctx, "charge-card", func(ctx context.Context) error {
		zerolog.Ctx(ctx).Warn().Err(errors.New("slow")).Send()
		return errors.New("card declined")
	}, dlog.Int("amount", 120))
}

func TestTree(t *testing.T) {
	rec := dlogtest.New(t)
	if err := placeOrder(context.Background(), rec.Client()); err == nil {
		t.Fatal("no error")
	}
	rec.Tree(`
		place-order: failed (card declined) order=A-1 note="two words"
		  - info reserved n=3
		  > mailer
		  charge-card: failed (card declined) amount=*
		    - warn (slow)
	`)
	if n := len(rec.Entries()); n != 8 {
		t.Errorf("%d entries", n)
	}
}

func TestWhatFails(t *testing.T) {
	f := func(want string, test func(rec *dlogtest.Recorder)) {
		t.Helper()
		s := &spy{TB: t}
		test(dlogtest.New(s))
		s.end()
		if got := strings.Join(s.failures, "\n"); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("failed with %q, want %q", got, want)
		}
	}
	f("", func(rec *dlogtest.Recorder) { _ = placeOrder(context.Background(), rec.Client()) })
	f("got the tree", func(rec *dlogtest.Recorder) {
		_ = placeOrder(context.Background(), rec.Client())
		rec.Tree("place-order: succeeded")
	})
	f("has not ended", func(rec *dlogtest.Recorder) { rec.Client().Start(context.Background(), "left open") })
	f("", func(rec *dlogtest.Recorder) {
		rec.Tree("")
		_, tk := rec.Client().Start(context.Background(), "x")
		tk.End(nil)
		if len(rec.Unfinished()) != 0 {
			t.Error("unfinished")
		}
	})
}

func ExampleNew() {
	var t *testing.T // of the test function
	test := func() {
		rec := dlogtest.New(t)
		_ = placeOrder(context.Background(), rec.Client())
		rec.Tree(`
			place-order: failed (card declined) order=A-1 note=*
			  - info reserved n=3
			  > mailer
			  charge-card: failed (card declined) amount=120
			    - warn (slow)
		`)
	}
	_ = test
}
