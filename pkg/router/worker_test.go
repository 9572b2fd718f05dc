package router

import (
	"bytes"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/stream"
)

// TestTally: what became of the entries adds up, whatever fails for good.
func TestTally(t *testing.T) {
	f := func(tl tally, failed []*parcel, delivered, dead uint64) {
		t.Helper()
		c := newCounters()
		c.arrived(tl.entries)
		h := &hand{tally: tl, failed: failed, gen: &generation{set: &rule.Set{Rules: []rule.Rule{{Name: "r"}}}}}
		c.settle(h)
		r := c.read()
		var deads, drops uint64
		for _, n := range r.dead {
			deads += n
		}
		for _, n := range r.dropped {
			drops += n
		}
		if r.delivered != delivered || deads != dead {
			t.Errorf("%+v: delivered %d, dead %d; want %d, %d", tl, r.delivered, deads, delivered, dead)
		}
		if r.received != uint64(r.inFlight)+r.delivered+drops+deads {
			t.Errorf("%+v: the states of %d entries add up to something else: %+v", tl, r.received, r)
		}
	}
	f(tally{entries: 10, delivered: 10, copies: 2}, nil, 10, 0)
	f(tally{entries: 10, delivered: 6, copies: 2, dropped: []ruleCount{{0, 3}}, dead: []reasonCount{{stream.ReasonJSON, 1}}}, nil, 6, 1)
	f(tally{entries: 10, delivered: 10, copies: 1}, []*parcel{{count: 10, sole: 10}}, 0, 10)
	f(tally{entries: 10, delivered: 10, copies: 2}, []*parcel{{count: 8, sole: 3}}, 7, 3)
	f(tally{entries: 10, delivered: 10, copies: 2}, []*parcel{{count: 8, sole: 3}, {count: 7, sole: 2}}, 0, 10)
}

// TestEvalAddsNoAllocations: what a message costs does not grow with its lines.
func TestEvalAddsNoAllocations(t *testing.T) {
	cfg, err := load(t, smallest+`
[[rule]]
name = "slow"
match = { status = ">=500", duration_ms = ">1000" }
to = ["rest"]
[[rule]]
name = "else"
match = {}
drop = true
`)
	if err != nil {
		t.Fatal(err)
	}
	set, err := rule.Compile(cfg.File)
	if err != nil {
		t.Fatal(err)
	}
	allocs := func(lines int) float64 {
		e := &engine{cfg: cfg, ns: cfg.Namespace, log: zerolog.Nop(), count: newCounters()}
		e.rules.Store(e.generation(set, make([]stream.Spec, len(set.Streams))))
		w := newWorker(e)
		data := bytes.Repeat([]byte(`{"level":"info","status":200,"duration_ms":12,"message":"nothing to see"}`+"\n"), lines)
		h := &hand{subject: "dlog.in.svc.info.a.b", at: time.Unix(0, 1)}
		return testing.AllocsPerRun(50, func() {
			h.data, h.tally = data, tally{}
			w.route(h)
		})
	}
	if one, many := allocs(1), allocs(1000); many > one+1 {
		t.Errorf("1 line: %v allocations, 1,000 lines: %v", one, many)
	}
}
