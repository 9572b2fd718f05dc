package transport

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// formerQueue is a queue that an earlier run left packs in.
type formerQueue struct {
	spool.Queue
	packs []spool.Pack
	lines map[uint64]string
	acked []uint64
}

func (q *formerQueue) Pending() []spool.Pack { return q.packs }
func (q *formerQueue) LastNumber() uint64    { return 9 }
func (q *formerQueue) Bytes(p spool.Pack, dst []byte) ([]byte, error) {
	return append(dst, q.lines[p.Number]...), nil
}

func (q *formerQueue) Acked(n uint64) {
	q.acked = append(q.acked, n)
	q.Queue.Acked(n)
}

func (q *formerQueue) Stats() spool.Stats {
	s := q.Queue.Stats()
	for _, p := range q.packs {
		if !slices.Contains(q.acked, p.Number) {
			s.Waiting += uint64(p.Count)
		}
	}
	return s
}

func former(q spool.Queue) *formerQueue {
	return &formerQueue{
		Queue: q,
		packs: []spool.Pack{{Number: 8, Subject: "dlog.in.a.info.s", Count: 1, CRC: 1}, {Number: 9, Subject: "dlog.in.a.info.s", Count: 2, CRC: 2}},
		lines: map[uint64]string{8: "{\"n\":1}\n", 9: "{\"n\":2}\n{\"n\":3}\n"},
	}
}

func TestPacksOfAnEarlierRunGoFirst(t *testing.T) {
	bubble(t, func(r *rig, cfg *Config) {
		cfg.Queue = former(cfg.Queue)
		r.link.reply = func(n int, _ sentPack) *nats.Msg {
			if n <= 2 {
				return dup() // the earlier run's were stored
			}
			return ack()
		}
	}, func(t *testing.T, r *rig) {
		r.log("dlog.in.a.info.s", entry.Info, `{"n":4}`)
		if err := r.tr.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range r.link.packs() {
			got = append(got, fmt.Sprintf("%s %v %d", strings.TrimPrefix(p.id(), r.queue.Key()), p.again(), strings.Count(p.data, "\n")))
		}
		want := []string{".8.00000001 true 1", ".9.00000002 true 2", ".10.", ""}
		if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || !strings.HasPrefix(got[2], want[2]) || !strings.HasSuffix(got[2], " false 1") {
			t.Errorf("sent %q", got)
		}
	})
}

func TestAdopt(t *testing.T) {
	bubble(t, nil, func(t *testing.T, r *rig) {
		dead := former(spool.NewMemory(spool.Config{}))
		f, err := dead.Reserve("dlog.in.a.info.s", entry.Info, false, 10)
		if err != nil {
			t.Fatal(err)
		}
		f.Commit(copy(f.Line, "{\"n\":4}\n"))
		done := make(chan error, 1)
		r.tr.Adopt(dead, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		packs := r.link.packs()
		if len(packs) != 3 || lineCount(packs) != 4 || !packs[2].again() {
			t.Errorf("packs %+v", packs)
		}
		for _, p := range packs {
			if !strings.HasPrefix(p.id(), dead.Key()+".") {
				t.Errorf("id %s is not of the queue adopted", p.id())
			}
		}
		r.tr.Close(t.Context())
		r.tr.Adopt(former(spool.NewMemory(spool.Config{})), func(err error) { done <- err })
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("adopt after close: %v", err)
		}
	})
}
