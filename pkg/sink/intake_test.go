package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/stream"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// feed makes deliveries of the stream payments.
type feed struct{ consumer uint64 }

func (f *feed) next(seq uint64, p stream.Pack) delivery {
	f.consumer++
	if p.Subject == "" {
		p.Subject = "dlog.to.payments.shop.info.place-order"
	}
	m := nats.NewMsg(p.Subject)
	p.Msg(m)
	meta := &nats.MsgMetadata{Timestamp: time.Unix(int64(seq), 5), NumDelivered: 1}
	meta.Sequence.Stream, meta.Sequence.Consumer = seq, f.consumer
	return delivery{m, meta}
}

func lines(n int) stream.Pack {
	var p stream.Pack
	for i := range n {
		p.Data = fmt.Appendf(p.Data, `{"n":%d}`+"\n", i)
	}
	p.Count = n
	return p
}

func testIntake(at Committed) *intake {
	in := &intake{spec: Spec{Name: "s", Namespace: "dlog", Stream: "payments"}}
	in.start(at)
	return in
}

func take(t *testing.T, in *intake, ds ...delivery) []Entry {
	t.Helper()
	var out []Entry
	for _, d := range ds {
		var err error
		if out, err = in.take(t.Context(), out, d); err != nil {
			t.Fatal(err)
		}
	}
	in.finish(out)
	return out
}

func TestIntakeOrder(t *testing.T) {
	var f feed
	in := testIntake(Committed{Seq: 4, Time: time.Unix(4, 5)})
	redelivered := func(d delivery) delivery { d.meta.NumDelivered = 2; return d }
	got := take(t, in, f.next(5, lines(2)), redelivered(f.next(5, lines(2))), redelivered(f.next(4, lines(9))), f.next(6, lines(1)))
	if len(got) != 3 || got[1].Seq != 5 || got[1].Index != 1 || got[2].Seq != 6 || in.at.Seq != 6 || !in.at.Time.Equal(time.Unix(6, 5)) {
		t.Errorf("entries %+v, then at %v", got, in.at)
	}
	if _, err := in.take(t.Context(), nil, f.next(2, lines(1))); !errors.Is(err, errJump) {
		t.Errorf("an old message delivered for the first time: %v", err)
	}
	f.consumer += 2
	if _, err := in.take(t.Context(), nil, f.next(7, lines(1))); !errors.Is(err, errJump) {
		t.Errorf("a jump of the consumer: %v", err)
	}
}

func TestIntakePart(t *testing.T) {
	var f feed
	in := testIntake(Committed{Seq: 5, Time: time.Unix(5, 5), Part: 2})
	got := take(t, in, f.next(5, lines(3)))
	if len(got) != 1 || string(got[0].Line) != `{"n":2}` || in.at.Part != 0 {
		t.Errorf("entries %+v, then at %v", got, in.at)
	}
	f = feed{}
	in = testIntake(Committed{Seq: 5, Time: time.Unix(5, 5), Part: 2})
	got = take(t, in, f.next(8, lines(3))) // the message that was begun has expired
	if len(got) != 4 || !got[0].Gap {
		t.Errorf("entries %+v", got)
	}
}

// TestIntakeGap: what is said of a gap behind message 10, before which the router r1 had sent 100 entries, all of them seen.
func TestIntakeGap(t *testing.T) {
	pack := func(n int, total string) stream.Pack { p := lines(n); p.Total = total; return p }
	f := func(c Committed, entries, atLeast any, packs ...stream.Pack) {
		t.Helper()
		c.Seq, c.Time = 10, time.Unix(10, 5)
		in := testIntake(c)
		var fd feed
		var ds []delivery
		for i, p := range packs {
			ds = append(ds, fd.next(uint64(25+i), p))
		}
		got := take(t, in, ds...)
		var rec map[string]any
		if err := json.Unmarshal(got[0].Line, &rec); err != nil {
			t.Fatalf("%s: %v", got[0].Line, err)
		}
		if !got[0].Gap || rec["level"] != "warn" || rec["first"] != 11.0 || rec["last"] != 24.0 || rec["messages"] != 14.0 ||
			rec["entries"] != entries || rec["entries_at_least"] != atLeast {
			t.Errorf("record %s, want %v entries, at least %v", got[0].Line, entries, atLeast)
		}
		if rec["dlog"].(map[string]any)["event"] != "gap" || got[0].Subject != "dlog.to.payments.dlog-sink.task.-" {
			t.Errorf("record %s of subject %s", got[0].Line, got[0].Subject)
		}
		if at := got[0].after(in.at); at.Seq != 24 || at.Part != 0 {
			t.Errorf("behind the record the position is %v", at)
		}
	}
	now, old := time.Unix(9, 0), time.Unix(9, 0).Add(-time.Hour)
	whole := func(more ...string) Committed {
		c := Committed{Whole: true, Counts: map[string]Count{"r1": {Total: 100, Seen: 100, At: now}}}
		for _, r := range more {
			c.Counts[r] = Count{Total: 7, Seen: 7, At: now}
		}
		return c
	}
	f(whole(), 40.0, nil, pack(2, "r1 142"))
	f(whole(), 0.0, nil, pack(2, "r1 102"))
	f(whole(), 40.0, nil, pack(3, "r1 148"), pack(5, "r1 145"))                         // stored in another order than counted
	f(whole(), 47.0, nil, pack(2, "r1 142"), pack(3, "r2 10"))                          // another router began in the gap
	f(whole("r2"), 41.0, nil, pack(2, "r1 142"), pack(3, "r2 11"))                      // two routers
	f(whole("r2"), nil, 40.0, pack(2, "r1 142"))                                        // r2 may have lost some too
	f(whole(), nil, 7.0, pack(3, "r2 10"))                                              // r1 was not heard again
	f(whole(), nil, nil, lines(2))                                                      // nobody counts
	f(whole(), nil, nil, pack(2, "r1 many"))                                            //
	f(Committed{}, nil, nil, pack(2, "r1 142"))                                         // nothing known of before
	f(Committed{Counts: whole().Counts}, nil, 40.0, pack(2, "r1 142"), pack(1, "r2 9")) // r2 may have been there before
	dead := whole("r2")
	dead.Counts["r2"] = Count{Total: 7, Seen: 7, At: old}
	f(dead, 40.0, nil, pack(2, "r1 142")) // r2 ended long ago
	off := whole()
	off.Counts["r1"] = Count{Total: 100, Seen: 90, At: now} // ten are missing since an earlier gap
	f(off, 40.0, nil, pack(2, "r1 142"))
}

// TestCountsBounded: routers that ended are forgotten.
func TestCountsBounded(t *testing.T) {
	c := counts{whole: true}
	for i := range 3 * maxCounts {
		c.add(stream.Pack{Total: fmt.Sprintf("r%d 5", i), Count: 5, Time: time.Unix(int64(i), 0)})
	}
	if len(c.by) != maxCounts || c.by["r0"] != (Count{}) || c.missing() != 0 {
		t.Errorf("%d routers are known", len(c.by))
	}
}

// TestIntakeFirst: a sink that is younger than the stream's first message is told what it never saw. How many entries that were
// cannot be known: there may have been other routers.
func TestIntakeFirst(t *testing.T) {
	var f feed
	p := lines(1)
	p.Total = "r1 31"
	got := take(t, testIntake(Committed{}), f.next(5, p))
	var rec map[string]any
	if err := json.Unmarshal(got[0].Line, &rec); err != nil || rec["messages"] != 4.0 || rec["entries"] != nil {
		t.Errorf("record %s (%v)", got[0].Line, err)
	}
}

func TestIntakeAgain(t *testing.T) {
	var f feed
	in := testIntake(Committed{})
	in.again = 2
	repeated := lines(1)
	repeated.Again = true
	got := take(t, in, f.next(1, lines(1)), f.next(2, lines(1)), f.next(3, lines(1)), f.next(4, repeated))
	for i, want := range []bool{true, true, false, true} {
		if got[i].Again != want {
			t.Errorf("message %d: again %v", i+1, got[i].Again)
		}
	}
	f = feed{}
	in = testIntake(Committed{Epoch: 1, Since: time.Unix(100, 0)})
	in.note = "rolled back"
	got = take(t, in, f.next(1, lines(1)))
	if len(got) != 2 || !got[0].Gap || !got[1].Again {
		t.Errorf("a new epoch begins with %+v", got)
	}
}

// TestIntakeDeadStream: a sink of dead letters takes whatever they hold, and makes none.
func TestIntakeDeadStream(t *testing.T) {
	var f feed
	in := testIntake(Committed{})
	in.spec.Stream = "dead"
	bodies := []string{`{"a":1}`, "half \x00 a \xff line", "{\"a\":1}\n{\"a\":2}", ""}
	for i, body := range bodies {
		d := f.next(uint64(i+1), stream.Pack{Subject: "dlog.dead.json.shop", Data: []byte(body)})
		d.msg.Header.Set(stream.HdrReason, "json: no object")
		d.msg.Header.Set(stream.HdrEncoding, "rot13")
		got := take(t, in, d)
		var rec struct {
			Message, Reason, Raw string
			Entry                json.RawMessage
		}
		if err := json.Unmarshal(got[0].Line, &rec); err != nil || rec.Message != "dead letter: json" {
			t.Errorf("record %s (%v)", got[0].Line, err)
		}
		if (string(rec.Entry) == `{"a":1}`) != (i == 0) {
			t.Errorf("record %s of %q", got[0].Line, body)
		}
	}
}

func TestScanner(t *testing.T) {
	p := task.Process{0x9f, 1, 2, 3, 4, 5, 6, 0xab}
	f := func(line string, want Identity, ok bool) {
		t.Helper()
		var s Scanner
		got, err := s.Scan([]byte(line))
		if got != want || (err == nil) != ok {
			t.Errorf("%s: %v, %v", line, got, err)
		}
	}
	f(`{"dlog":{"proc":"9f010203040506ab","seq":812}}`, Identity{p, 812}, true)
	f(`{"dlog":{"proc":"9F010203040506AB","seq":812}}`, Identity{}, true)
	f(`{"dlog":{"proc":"9f","seq":812}}`, Identity{}, true)
	f(`{"dlog":{"proc":"9f010203040506ab","seq":-1}}`, Identity{}, true)
	f(`{"dlog":{"proc":"9f010203040506ab"}}`, Identity{}, true)
	f(`{"dlog":{"proc":1,"seq":1}}`, Identity{}, true)
	f(`{}`, Identity{}, true)
	f(`[]`, Identity{}, false)
	f(`{"a":`, Identity{}, false)
}

func TestScannerAllocates(t *testing.T) {
	var s Scanner
	line := []byte(`{"level":"info","message":"reserved","dlog":{"svc":"shop","trace":"0193","proc":"9f010203040506ab","seq":812}}`)
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Scan(line) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzTotal(f *testing.F) {
	f.Add("r1 7")
	f.Add("r 1 7")
	f.Fuzz(func(t *testing.T, s string) {
		if router, n, ok := parseTotal(s); ok && router+" "+fmt.Sprint(n) != s && n != 0 {
			if _, m, again := parseTotal(fmt.Sprintf("%s %d", router, n)); !again || m != n {
				t.Errorf("%q is read as %q %d", s, router, n)
			}
		}
	})
}
