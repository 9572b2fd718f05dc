package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// TestRefusalsAreSaidOnce fills the queue while nobody can be reached: one line says so, and one says when there is room again.
func TestRefusalsAreSaidOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		queue := spool.NewMemory(spool.Config{Bytes: 1 << 20})
		defer queue.Close()
		cfg := Config{URL: "nats://host:1", Queue: queue, Report: func(s string) { said = append(said, s) }}
		cfg.setDefaults()
		l := &fakeLink{start: time.Now(), latency: time.Millisecond, max: 1 << 20}
		reachable := false
		tr := start(cfg, true, func(_ context.Context, wake func()) (link, error) {
			if !reachable {
				return nil, errors.New("connection refused")
			}
			l.in = newInbox(wake)
			return l, nil
		})
		refused := 0
		for range 20_000 {
			f, err := tr.Reserve("dlog.in.a.debug.s", entry.Debug, false, 128)
			if err != nil {
				refused++
				continue
			}
			f.Commit(copy(f.Line, `{"message":"`+strings.Repeat("x", 100)+"\"}\n"))
		}
		if refused == 0 {
			t.Fatal("the queue took everything: make it smaller")
		}
		time.Sleep(3 * time.Second) // fake time
		synctest.Wait()
		reachable = true
		if err := tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 10 { // the sender looks when it has something to do
			time.Sleep(time.Second)
			f, err := tr.Reserve("dlog.in.a.info.s", entry.Info, false, 10)
			if err != nil {
				t.Fatal(err)
			}
			f.Commit(copy(f.Line, "{}\n"))
		}
		if err := tr.Close(t.Context()); err != nil {
			t.Error(err)
		}
		text := strings.Join(said, "\n")
		if strings.Count(text, "the queue is full (memory") != 1 || strings.Count(text, fmt.Sprintf("the queue has room again; %d entries were refused in all", refused)) != 1 {
			t.Errorf("%d refused, said\n%s", refused, text)
		}
	})
}
