package sink_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

// counter is a destination that counts entries. A real one keeps held with what it stores, in one transaction.
type counter struct {
	held sink.Committed
	n    int
}

func (c *counter) Open(context.Context) (sink.Committed, error) { return c.held, nil }
func (c *counter) Close() error                                 { return nil }

func (c *counter) Commit(_ context.Context, b sink.Batch) error {
	if !b.From.Same(c.held) {
		return sink.ErrConflict
	}
	c.n += len(b.Entries)
	c.held = b.To
	return nil
}

// A destination of one's own is three methods. Package sinktest tests them; Main makes a program of them.
func ExampleKind() {
	var k sink.Kind = &counter{}
	held, err := k.Open(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	b := sink.Batch{
		From:    held,
		To:      sink.Committed{Seq: 1, Time: time.Unix(1, 0)},
		Entries: []sink.Entry{{Line: []byte(`{"level":"info","message":"hello"}`), Seq: 1}},
	}
	fmt.Println(k.Commit(context.Background(), b))
	fmt.Println(k.Commit(context.Background(), b))
	// Output:
	// <nil>
	// the destination was written by another process
}

// tally is the settings of a type of sink: the keys that a [[sink]] of it may have beside the common ones.
type tally struct {
	Unit string `toml:"unit"`
}

func (t *tally) Validate() error {
	if t.Unit == "" {
		return errors.New("unit: missing")
	}
	return nil
}

func (t *tally) Kind(sink.Env) (sink.Kind, error) { return &counter{}, nil }

// The main function of a program of one's own. Its file has sinks of the types in the map (file.New, store.New and so on may stand
// there, too), and its flags are those of dlog-sink run. A type without keys of its own is sink.NoSettings(…).
func ExampleMain() {
	sink.Main(map[string]sink.NewKind{
		"tally": func() sink.Settings { return &tally{Unit: "entries"} }, // defaults
		"count": sink.NoSettings(func(sink.Env) (sink.Kind, error) { return &counter{}, nil }),
	})
}
