package structure

import (
	"bytes"
	"context"
	"math"
	"strconv"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

func TestPutUint(t *testing.T) {
	f := func(n uint64) {
		t.Helper()
		want := strconv.FormatUint(n, 10)
		if got := string(appendUint([]byte("x"), n)); got != "x"+want || digits(n) != len(want) {
			t.Errorf("%d is written as %s with %d digits", n, got, digits(n))
		}
		short := make([]byte, len(want)-1)
		if putUint(short, n) != len(want) {
			t.Errorf("%d: no room, and the length is not told", n)
		}
	}
	f(0)
	for n := uint64(1); n < math.MaxUint64/10; n *= 10 {
		f(n - 1)
		f(n)
		f(n*7 + 3)
	}
	f(math.MaxUint64)
}

// others is an appender before which other goroutines take numbers, between the estimate and the reservation.
type others struct {
	frames [][]byte
	given  int
	before func()
	seq    uint64
}

func (o *others) Reserve(_ string, _ entry.Level, _ bool, max int) (spool.Frame, error) {
	if o.before != nil {
		o.before()
	}
	o.given++
	return spool.NewFrame(make([]byte, max), o.seq, o, 0), nil
}
func (o *others) CommitFrame(f spool.Frame, n int) { o.frames = append(o.frames, f.Line[:n]) }
func (o *others) AbandonFrame(spool.Frame)         {}

// Numbers that grow by digits between the estimate and the reservation cost a second reservation, never the entry.
func TestNumbersThatGrowInBetween(t *testing.T) {
	o := &others{seq: 1}
	p, err := New(Config{Service: "s", Out: o})
	if err != nil {
		t.Fatal(err)
	}
	_, task := p.Start(context.Background(), "work")
	o.before = func() {
		o.seq = 123_456_789
		for range 5000 {
			task.take(false)
		}
		o.before = nil
	}
	given := o.given
	task.Logger().Info().Msg("hello")
	last := o.frames[len(o.frames)-1]
	if o.given != given+2 || !bytes.Contains(last, []byte(`"pos":"5002"`)) || !bytes.Contains(last, []byte(`"seq":123456789}}`+"\n")) || entry.Valid(last) != nil {
		t.Errorf("%d reservations, %s", o.given-given, last)
	}
}
