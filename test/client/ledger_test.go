package client

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/transport"
)

// ledger is what was said, kept outside of what is tested.
type ledger struct {
	mu      sync.Mutex
	said    map[string]string // entry's name → subject
	slowest time.Duration     // call
	more    bool              // entries may be stored that are not in said
}

const subjects = 40

var loadLevels = []entry.Level{entry.Debug, entry.Debug, entry.Debug, entry.Info, entry.Info, entry.Warn, entry.Error}

// load appends entries from 4 goroutines until stop is closed, at about rate a second.
func (l *ledger) load(tb testing.TB, tr *transport.Transport, rate int, stop <-chan struct{}) (wait func()) {
	l.said = map[string]string{}
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 7))
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			n, start := 0, time.Now()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
				}
				for due := int(time.Since(start).Seconds() * float64(rate) / 4); n < due; n++ {
					l.say(tb, tr, r, g, n)
				}
			}
		})
	}
	return wg.Wait
}

func (l *ledger) say(tb testing.TB, tr *transport.Transport, r *rand.Rand, g, n int) {
	level := loadLevels[r.IntN(len(loadLevels))]
	subject := fmt.Sprintf("dlog.in.shop.%s.order.step%d", level, r.IntN(subjects/5))
	line := fmt.Sprintf(`{"g":%d,"n":%d,"text":"%s"}`+"\n", g, n, strings.Repeat("x", r.IntN(500)))
	start := time.Now()
	f, err := tr.Reserve(subject, level, false, len(line))
	if err != nil {
		tb.Errorf("reserve: %v", err)
		return
	}
	f.Commit(copy(f.Line, line))
	took := time.Since(start)
	l.mu.Lock()
	l.said[fmt.Sprint(g, " ", n)] = subject
	l.slowest = max(l.slowest, took)
	l.mu.Unlock()
}

// compare reads IN and holds it against the ledger: nothing lost, nothing twice, and
// per goroutine and subject the order in which it was said.
func (l *ledger) compare(tb testing.TB, s *natsServer) {
	tb.Helper()
	seen := map[string]int{}
	last := map[string]int{}
	ids := map[string]bool{}
	packs, again := 0, 0
	s.readAll(func(m jetstream.Msg) {
		p, err := stream.DecodePack(m.Subject(), m.Headers(), m.Data(), stream.Limits{})
		if err != nil {
			tb.Fatalf("pack %s: %v", m.Headers().Get(stream.HdrMsgID), err)
		}
		if ids[p.ID] || p.ID == "" {
			tb.Errorf("id %q stored twice", p.ID)
		}
		ids[p.ID] = true
		packs++
		if p.Again {
			again++
		}
		for line := range stream.Lines(p.Data) {
			var e struct{ G, N int }
			if err := json.Unmarshal(line, &e); err != nil {
				tb.Fatalf("line %.80s: %v", line, err)
			}
			name := fmt.Sprint(e.G, " ", e.N)
			seen[name]++
			if subject, ok := l.said[name]; subject != p.Subject && (ok || !l.more) {
				tb.Errorf("entry %s is under %s, said under %s", name, p.Subject, l.said[name])
			}
			stream := fmt.Sprint(e.G, " ", p.Subject)
			if before, ok := last[stream]; ok && before >= e.N {
				tb.Errorf("%s: %d came after %d", stream, e.N, before)
			}
			last[stream] = e.N
		}
	})
	lost, twice := 0, 0
	for name := range l.said {
		switch seen[name] {
		case 0:
			lost++
		case 1:
		default:
			twice++
		}
	}
	if lost > 0 || twice > 0 {
		tb.Errorf("of %d entries %d are lost and %d stored twice", len(l.said), lost, twice)
	}
	tb.Logf("%d entries in %d packs, %d of them marked again; slowest call %v", len(l.said), packs, again, l.slowest)
}
