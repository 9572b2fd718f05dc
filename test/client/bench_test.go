package client

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// benchLine is 300 bytes, the mean of the workload `shop`.
var benchLine = []byte(`{"level":"info","message":"` + strings.Repeat("x", 270) + `"}` + "\n")

func benchSubjects(n int) []string {
	s := make([]string, n)
	for i := range s {
		s[i] = fmt.Sprintf("dlog.in.shop.info.order.step%d", i)
	}
	return s
}

// BenchmarkIntoIN stores entries in IN as fast as possible, each until it is acked:
// one message per entry as PublishAsync does it, and the transport's packs under one
// subject and under 40. The column x is the rate beside one message per entry.
func BenchmarkIntoIN(b *testing.B) {
	var alone float64
	b.Run("message-per-entry", func(b *testing.B) { alone = benchAsync(b, startServer(b)) })
	for _, n := range []int{1, 40} {
		b.Run(fmt.Sprintf("packs-%d-subjects", n), func(b *testing.B) {
			rate := benchPacks(b, startServer(b), benchSubjects(n))
			if alone > 0 {
				b.ReportMetric(rate/alone, "x")
			}
		})
	}
}

func benchAsync(b *testing.B, s *natsServer) float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	js := s.connect()
	b.ResetTimer()
	for i := range b.N {
		for js.PublishAsyncPending() >= 4000 {
			runtime.Gosched()
		}
		if _, err := js.PublishAsync("dlog.in.shop.info.order", benchLine, jetstream.WithMsgID(fmt.Sprint(i)), jetstream.WithStallWait(time.Minute)); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-ctx.Done():
		b.Fatal(ctx.Err())
	}
	return reportRate(b)
}

func benchPacks(b *testing.B, s *natsServer, subjects []string) float64 {
	q := spool.NewMemory(spool.Config{Bytes: 64 << 20})
	tr, _ := open(b, transport.Config{URL: s.url(), Queue: q})
	for !tr.Stats().Connected {
		runtime.Gosched()
	}
	b.ResetTimer()
	for i := range b.N {
		for {
			f, err := tr.Reserve(subjects[i%len(subjects)], entry.Info, false, len(benchLine))
			if err == nil {
				f.Commit(copy(f.Line, benchLine))
				break
			}
			time.Sleep(time.Millisecond) // the queue is full: the bench outruns the server
		}
	}
	flush(b, tr)
	return reportRate(b)
}

func reportRate(b *testing.B) float64 {
	b.StopTimer()
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "entries/s")
	return rate
}
