package ledger

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// TestSpans compares a set of runs with a set of numbers.
func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s Spans
		var in [64]bool
		for range r.IntN(20) {
			first := uint64(1 + r.IntN(60))
			last := min(first+uint64(r.IntN(6)), 63)
			s = s.Add(Span{first, last})
			for n := first; n <= last; n++ {
				in[n] = true
			}
		}
		if r.IntN(2) == 0 {
			last := uint64(r.IntN(64))
			s = s.Cut(last)
			clear(in[last+1:])
		}
		count := uint64(0)
		for n := range uint64(64) {
			if s.Has(n) != in[n] {
				t.Fatalf("%v: Has(%d) is %v", s, n, s.Has(n))
			}
			if in[n] {
				count++
			}
		}
		for i := 1; i < len(s); i++ {
			if s[i].First <= s[i-1].Last+1 {
				t.Fatalf("%v: runs overlap or touch", s)
			}
		}
		last := uint64(1 + r.IntN(63))
		gaps := s.Gaps(last)
		for n := uint64(1); n < 64; n++ {
			if want := n <= last && !in[n]; gaps.Has(n) != want {
				t.Fatalf("%v: gaps up to %d are %v", s, last, gaps)
			}
		}
		if s.Count() != count {
			t.Fatalf("%v: %d numbers, want %d", s, s.Count(), count)
		}
	}
}

// someBatch uses everything a batch can hold.
func someBatch(full bool) *Batch {
	b := &Batch{
		Number: 7, Back: 3, Full: full, Expired: Spans{{4, 9}, {20, 20}},
		Totals: Totals{Messages: 10, Entries: 300, Delivered: 200, ByDefault: 5, Expired: 7, By: map[Name]uint64{
			{Stored, "payments"}: 190, {Dropped, "noise"}: 90, {Dead, "json"}: 10, {Owed, "pager"}: 4,
		}},
		Records: []Record{
			{Seq: 100, At: time.Unix(1764000000, 123456789), Entries: 12, Delivered: 5, ByDefault: 1, Counts: []Count{{Name{Stored, "payments"}, 5}, {Name{Dropped, "noise"}, 7}}, Withheld: []Withheld{
				{"noise", 77, 2, 3}, {"noise", 77, 9, 9}, {"noise", 1 << 63, 1, 1},
			}},
			{Seq: 99, At: time.Unix(1763999999, 1), Entries: 1, Counts: []Count{{Name{Dead, "json"}, 1}}},
			{Seq: 5000, At: time.Unix(1764000100, 0)},
		},
	}
	if full {
		b.Back, b.Recorded = 0, Spans{{1, 90}, {92, 100}}
	}
	return b
}

func TestEncodeDecode(t *testing.T) {
	f := func(b *Batch) {
		t.Helper()
		var e encoder
		data := e.encode(b)
		got, err := decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if have, want := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", *b); have != want {
			t.Errorf("got  %s\nwant %s", have, want)
		}
		for n := range data { // cut anywhere it is no batch
			if _, err := decode(data[:n]); err == nil {
				t.Fatalf("cut at %d of %d it is still a batch", n, len(data))
			}
		}
		if _, err := decode(append(data, "what later versions add"...)); err != nil {
			t.Error(err)
		}
	}
	f(&Batch{Totals: Totals{By: map[Name]uint64{}}, Records: []Record{}})
	f(someBatch(false))
	f(someBatch(true))
}

// TestSize: what a message of IN costs in the ledger, beside the identities.
func TestSize(t *testing.T) {
	b := &Batch{Number: 1000, Back: 64000, Totals: Totals{Messages: 1 << 30, Entries: 1 << 34, Delivered: 1 << 33, By: map[Name]uint64{
		{Stored, "payments"}: 1 << 30, {Stored, "pager"}: 1 << 30, {Stored, "rest"}: 1 << 30, {Dropped, "noise"}: 1 << 20,
	}}}
	for i := range uint64(64) {
		b.Records = append(b.Records, Record{Seq: 1e9 + i, At: time.Unix(1764000000, int64(i)*200_000), Entries: 20, Delivered: 18, Counts: []Count{
			{Name{Stored, "payments"}, 18}, {Name{Dropped, "noise"}, 2},
		}})
	}
	var e encoder
	if each := float64(len(e.encode(b))) / 64; each > 16 {
		t.Errorf("%.1f bytes a message", each)
	}
}

func FuzzDecode(f *testing.F) {
	var e encoder
	f.Add(e.encode(someBatch(false)))
	f.Add(e.encode(someBatch(true)))
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := decode(data)
		if err != nil {
			return
		}
		b.Totals.Clone().Of(Dropped)
		var x Index
		x.Add(&b)
	})
}

// TestJudge: parts of runs, in order and without overlap, whatever was added twice.
func TestJudge(t *testing.T) {
	trace := task.NewTrace()
	key := KeyOf(trace, "2.4~k7f3q")
	if KeyOf(trace, "2.4") == key || KeyOfText([]byte(trace.String()), []byte("2.4~k7f3q")) != key {
		t.Fatal("keys")
	}
	var x Index
	b := &Batch{Records: []Record{{Withheld: []Withheld{{"b", key, 6, 8}, {"a", key, 3, 3}, {"a", key, 2, 2}, {"c", key + 1, 1, 9}}}}}
	x.Add(b)
	x.Add(b)
	f := func(first, last uint64, want string) {
		t.Helper()
		got := ""
		for _, v := range x.Judge(tree.Absent{Trace: trace, Task: "2.4~k7f3q", First: first, Last: last}) {
			got += fmt.Sprintf("%d-%d:%s ", v.First, v.Last, v.Rule)
			if v.Reason != tree.Withheld {
				t.Errorf("reason %s", v.Reason)
			}
		}
		if got != want {
			t.Errorf("%d-%d: %q, want %q", first, last, got, want)
		}
	}
	f(1, 1, "")
	f(1, 9, "2-2:a 3-3:a 6-8:b ")
	f(3, 7, "3-3:a 6-7:b ")
	f(7, 100, "7-8:b ")
	f(9, 100, "")
}
