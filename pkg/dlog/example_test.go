package dlog_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/rs/zerolog"
)

// shown prints entries without what differs from run to run, so that examples have an output.
type shown struct{}

func (shown) Write(line []byte) (int, error) {
	e, err := entry.Parse(line)
	if err != nil || e.Meta.Event == entry.Birth || e.Meta.Event == entry.Death {
		return len(line), err
	}
	place := "-"
	if e.Meta.Path != "" {
		place = e.Meta.Path + " " + withoutAttempts(e.Meta.Pos)
	}
	what := string(e.Meta.Event)
	if e.Meta.Outcome != "" {
		what += " " + string(e.Meta.Outcome)
	}
	fmt.Println(strings.Join(strings.Fields(fmt.Sprintf("[%s] %s %s %s", place, e.Level, what, e.Message)), " "))
	return len(line), nil
}

// withoutAttempts leaves out the random part of positions.
func withoutAttempts(pos string) string {
	if before, after, ok := strings.Cut(pos, "~"); ok {
		return before + "~…" + after[5:]
	}
	return pos
}

// client is what dlog.Open(dlog.Config{Service: "checkout"}) returns, but prints.
func client() *dlog.Client {
	d, err := dlog.Open(dlog.Config{Service: "checkout", Out: structure.Writer(shown{}), Stderr: os.Stdout})
	if err != nil {
		log.Fatal(err)
	}
	return d
}

func Example() {
	d, ctx := client(), context.Background() // d, err := dlog.Open(dlog.Config{Service: "checkout"})
	defer d.Close(ctx)                       //nolint:errcheck // said on stderr

	placeOrder := func(ctx context.Context, id string) (err error) {
		ctx, t := d.Start(ctx, "place-order", dlog.Str("order", id))
		defer t.End(&err)
		zerolog.Ctx(ctx).Info().Int("n", 3).Msg("reserved")
		return d.Do(ctx, "charge-card", func(ctx context.Context) error {
			zerolog.Ctx(ctx).Warn().Msg("the bank is slow")
			return errors.New("card declined")
		})
	}
	_ = placeOrder(ctx, "A-17")
	// Output:
	// [place-order 1] debug start place-order
	// [place-order 2] info reserved
	// [place-order/charge-card 3.1] debug start charge-card
	// [place-order/charge-card 3.2] warn the bank is slow
	// [place-order/charge-card 3.3] error end failed charge-card
	// [place-order 4] error end failed place-order
}

func ExampleOpen() {
	ctx := context.Background()
	d, err := dlog.Open(dlog.Config{Service: "checkout", URL: "nats://logs.internal:4222", Also: "none"})
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Millisecond) // nothing listens there
	defer cancel()
	defer d.Close(ctx) //nolint:errcheck // said on stderr
}

func ExampleClient_Start() {
	d := client()
	work := func(ctx context.Context) (err error) {
		ctx, t := d.Start(ctx, "import-prices", dlog.Str("file", "prices.csv"))
		defer t.End(&err)
		zerolog.Ctx(ctx).Info().Msg("opened")
		t.Add(dlog.Int("rows", 512)) // on the end entry
		return nil
	}
	_ = work(context.Background())
	// Output:
	// [import-prices 1] debug start import-prices
	// [import-prices 2] info opened
	// [import-prices 3] info end succeeded import-prices
}

func ExampleClient_Do() {
	d := client()
	err := d.Do(context.Background(), "warm-up", func(ctx context.Context) error {
		zerolog.Ctx(ctx).Debug().Msg("cache filled")
		return nil
	})
	fmt.Println(err)
	// Output:
	// [warm-up 1] debug start warm-up
	// [warm-up 2] debug cache filled
	// [warm-up 3] info end succeeded warm-up
	// <nil>
}

func ExampleClient_Go() {
	d := client()
	ctx, t := d.Start(context.Background(), "fan-out")
	one := d.Go(ctx, "one", func(context.Context) error { return nil })
	fmt.Println(one.Wait())
	t.End(nil)
	// Output:
	// [fan-out 1] debug start fan-out
	// [fan-out/one 2.1] debug start one
	// [fan-out/one 2.2] info end succeeded one
	// <nil>
	// [fan-out 3] info end succeeded fan-out
}

func ExampleClient_Import() {
	d := client()
	_, t := d.Start(context.Background(), "place-order")
	token := t.Export("mailer") // travels in a message, a header, a row
	t.End(nil)

	_, t = d.Import(context.Background(), token, "send-mail") // in another process
	t.End(nil)
	// Output:
	// [place-order 1] debug start place-order
	// [place-order 2] debug export mailer
	// [place-order 3] info end succeeded place-order
	// [place-order/send-mail 2~….1] debug start send-mail
	// [place-order/send-mail 2~….2] info end succeeded send-mail
}

func ExampleTaskFrom() {
	d := client()
	ctx, t := d.Start(context.Background(), "serve")
	deep := func(ctx context.Context) { dlog.TaskFrom(ctx).Add(dlog.Bool("cached", true)) }
	deep(ctx)
	t.End(nil)
	// Output:
	// [serve 1] debug start serve
	// [serve 2] info end succeeded serve
}

func ExampleClient_Environ() {
	d := client()
	ctx, t := d.Start(context.Background(), "backup")
	defer t.End(nil)
	cmd := exec.CommandContext(ctx, "pg_dump", "shop")
	cmd.Env = append(os.Environ(), d.Environ(ctx)...) // DLOG_TASK and TRACEPARENT
	// Output:
	// [backup 1] debug start backup
	// [backup 2] debug export child process
	// [backup 3] info end succeeded backup
}

func ExampleClient_Attach() {
	d := client()
	logger := zerolog.New(os.Stderr).With().Str("component", "stock").Logger() // as it was before
	logger = d.Attach(logger, "stock")

	ctx, t := d.Start(context.Background(), "count")
	logger.Info().Ctx(ctx).Msg("in the task")
	logger.Info().Msg("outside of any")
	t.End(nil)
	// Output:
	// [count 1] debug start count
	// [count 2] info in the task
	// [-] info outside of any
	// [count 3] info end succeeded count
}

func ExampleClient_Writer() {
	d := client()
	logger := zerolog.New(d.Writer("stock")).Hook(d.Hook())
	logger.Info().Msg("started")
	// Output: [-] info started
}

func ExampleClient_Hook() {
	d := client()
	logger := zerolog.New(d.Writer("")).Hook(d.Hook())
	ctx, t := d.Start(context.Background(), "count")
	defer t.End(nil)
	logger.Info().Ctx(ctx).Msg("in the task")
	// Output:
	// [count 1] debug start count
	// [count 2] info in the task
	// [count 3] info end succeeded count
}

func ExampleClient_Logger() {
	d := client()
	logger := d.Logger("main")
	logger.Info().Msg("listening")
	// Output: [-] info listening
}

func ExampleClient_SlogHandler() {
	d := client()
	slog.SetDefault(slog.New(d.SlogHandler(nil)))
	ctx, t := d.Start(context.Background(), "count")
	slog.InfoContext(ctx, "in the task", "n", 3)
	t.End(nil)
	// Output:
	// [count 1] debug start count
	// [count 2] info in the task
	// [count 3] info end succeeded count
}

func ExampleClient_StdLog() {
	d := client()
	library := log.New(d.StdLog(zerolog.InfoLevel), "", 0)
	library.Print("no context, so no task")
	// Output: [-] info no context, so no task
}

func ExampleClient_Flush() {
	d := client()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := d.Flush(ctx); err != nil {
		fmt.Println(err) // how many entries still wait
	}
}

func ExampleClient_Close() {
	d := client()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := d.Close(ctx); err != nil {
		fmt.Println(err) // how many entries stay behind; stderr says so too
	}
}

func ExampleClient_Inside() {
	d := client()
	fmt.Println(d.Inside("payments:8080"), d.Inside("10.0.0.7"), d.Inside("api.example.org"))
	// Output: true true false
}

func ExampleClient_Trusted() {
	d := client()
	fmt.Println(d.Trusted("127.0.0.1:51234"), d.Trusted("203.0.113.9:51234"))
	// Output: true false
}

func ExampleClient_Config() {
	d := client()
	fmt.Println(d.Config().Service, d.Config().Namespace)
	// Output: checkout dlog
}

func ExampleClient_Tasks() {
	d := client()
	b := d.Tasks().AppendTime(nil, time.Date(2026, 11, 22, 16, 2, 11, 482193000, time.UTC))
	fmt.Println(string(b))
	// Output: 2026-11-22T16:02:11.482193Z
}

// fieldsOf prints the fields of a task's start entry.
func fieldsOf(fields ...dlog.Field) {
	d, err := dlog.Open(dlog.Config{Service: "shop", Out: structure.Writer(fieldPrinter{})})
	if err != nil {
		log.Fatal(err)
	}
	d.Start(context.Background(), "x", fields...)
}

type fieldPrinter struct{}

func (fieldPrinter) Write(line []byte) (int, error) {
	if e, err := entry.Parse(line); err == nil && e.Meta.Event == entry.Start {
		s, _, _ := strings.Cut(string(line), `,"time"`)
		fmt.Println(strings.TrimPrefix(s, `{"level":"debug",`))
	}
	return len(line), nil
}

func ExampleStr() {
	fieldsOf(dlog.Str("order", "A-17"))
	// Output: "order":"A-17"
}

func ExampleInt() {
	fieldsOf(dlog.Int("items", 3))
	// Output: "items":3
}

func ExampleInt64() {
	fieldsOf(dlog.Int64("bytes", 1<<40))
	// Output: "bytes":1099511627776
}

func ExampleFloat64() {
	fieldsOf(dlog.Float64("price", 12.5))
	// Output: "price":12.5
}

func ExampleBool() {
	fieldsOf(dlog.Bool("gift", true))
	// Output: "gift":true
}

func ExampleDur() {
	fieldsOf(dlog.Dur("budget", 1500*time.Millisecond))
	// Output: "budget":1500
}

func ExampleTime() {
	fieldsOf(dlog.Time("due", time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)))
	// Output: "due":"2026-11-22T16:00:00Z"
}

func ExampleErr() {
	fieldsOf(dlog.Err(errors.New("the first try failed")))
	// Output: "error":"the first try failed"
}

func ExampleAny() {
	fieldsOf(dlog.Any("tags", []string{"new", "gift"}))
	// Output: "tags":["new","gift"]
}

func ExampleLink() {
	d := client()
	_, one := d.Start(context.Background(), "upload")
	token := one.Export("batch")
	one.End(nil)
	_, batch := d.Start(context.Background(), "compress-batch", dlog.Link(token)) // readers follow links, too
	batch.End(nil)
	// Output:
	// [upload 1] debug start upload
	// [upload 2] debug export batch
	// [upload 3] info end succeeded upload
	// [compress-batch 1] debug start compress-batch
	// [compress-batch 2] info end succeeded compress-batch
}
