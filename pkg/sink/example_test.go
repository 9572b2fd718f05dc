package sink_test

import (
	"context"
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

// A destination of one's own is three methods. Package sinktest tests them; a Runner, or Load and Run with the kind in the map, does the
// rest.
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
