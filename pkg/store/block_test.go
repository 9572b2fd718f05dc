package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHeads(t *testing.T) {
	f := func(runs ...run) {
		t.Helper()
		sum := 0
		for _, r := range runs {
			sum += r.entries
		}
		got, n, err := decodeHeads(appendHeads(nil, runs), nil)
		if err != nil || n != sum || !slices.Equal(got, runs) {
			t.Errorf("%v became %v, %d, %v", runs, got, n, err)
		}
	}
	f()
	f(run{1, 1, 1, 1})
	f(run{3, 7, 100, 1_795_000_000_000}, run{1, 2, 101, 1_795_000_000_000}, run{9, 7, 50, 1_794_999_999_000}, run{1, 0, 1<<64 - 1, -5})
}

func TestRuns(t *testing.T) {
	f := func(numbers ...uint64) {
		t.Helper()
		runs := appendRuns(nil, numbers)
		var got []uint64
		err := eachRun(numbers[0], numbers[len(numbers)-1], runs, func(first, last uint64) {
			for n := first; n <= last; n++ {
				got = append(got, n)
			}
		})
		if err != nil || !slices.Equal(got, numbers) {
			t.Errorf("%v became %v by %v, %v", numbers, got, runs, err)
		}
	}
	f(5)
	f(5, 6, 7)
	f(0, 2)
	f(1, 2, 4, 5, 9)
	f(1, maxNumber)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		set := map[uint64]bool{}
		for range 1 + rng.IntN(50) {
			set[uint64(rng.IntN(80))] = true
		}
		var numbers []uint64
		for n := range set {
			numbers = append(numbers, n)
		}
		slices.Sort(numbers)
		f(numbers...)
	}
	for _, bad := range [][]byte{{0x80}, {1}, {9}, {1, 1}, {1, 0x80}, {0, 200, 0}, {2, 1, 9, 9}} {
		if err := eachRun(10, 20, bad, func(uint64, uint64) {}); !errors.Is(err, errBlock) {
			t.Errorf("runs %v: %v", bad, err)
		}
	}
}

func TestSplit(t *testing.T) {
	f := func(entries, size, want int) {
		t.Helper()
		records := make([]record, entries)
		for i := range records {
			records[i].line = make([]byte, size)
		}
		parts := split(records)
		n := 0
		for _, p := range parts {
			n += len(p)
			if len(p) == 0 || len(p) > blockEntries*3/2 {
				t.Errorf("%d entries of %d bytes: a part of %d", entries, size, len(p))
			}
		}
		if n != entries || len(parts) != want {
			t.Errorf("%d entries of %d bytes: %d parts with %d, want %d", entries, size, len(parts), n, want)
		}
	}
	f(0, 300, 0)
	f(1, 300, 1)
	f(1, 4<<20, 1)
	f(1499, 300, 1)
	f(1500, 300, 2)
	f(8192, 300, 8)
	f(100, 100_000, 10)
}

func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{time.Microsecond, 77 * time.Microsecond, 3 * time.Millisecond, 2 * time.Second, 20 * time.Hour} {
		u := usual(map[int64]int64{bucketOf(d.Microseconds()): 5})
		if off := float64(u.Median)/float64(d) - 1; off > 0.046 || off < -0.046 || u.Tasks != 5 {
			t.Errorf("%v became %v", d, u)
		}
	}
	if u := usual(nil); u != (Usual{}) {
		t.Errorf("of nothing: %v", u)
	}
}

// lineOf is an entry as most are.
func lineOf(i int) []byte {
	return fmt.Appendf(nil, `{"level":"info","order":"o-%d","time":"2026-11-22T16:02:11.%06dZ","message":"read %d rows","dlog":{"svc":"shop","trace":"0193e1a200007000800000000000%04x","path":"place-order","pos":"2.%d","proc":"9f00000000000001","seq":%d}}`,
		i, i, i*7, i/60, i+1, i)
}

// TestBuildAllocates little: what a block needs, not what an entry needs.
func TestBuildAllocates(t *testing.T) {
	b, err := newBuilder()
	if err != nil {
		t.Fatal(err)
	}
	s := newSubject(1, "dlog.in.shop.info.place-order")
	records := make([]record, 1000)
	for i := range records {
		records[i] = record{line: lineOf(i), subject: s, seq: uint64(i), ms: int64(i)}
	}
	b.build(records, false)
	if n := testing.AllocsPerRun(5, func() { b.build(records, false) }); n > 200 {
		t.Errorf("a block of 1000 entries takes %v allocations", n)
	}
}

// FuzzUnpack: a block that is not what was written is an error, never a panic, and what is read back is what was packed.
func FuzzUnpack(f *testing.F) {
	b, err := newBuilder()
	if err != nil {
		f.Fatal(err)
	}
	s := newSubject(3, "dlog.in.shop.info.place-order")
	records := []record{{line: lineOf(1), subject: s, seq: 9, ms: 77}, {line: lineOf(2), subject: s, seq: 10, ms: 78}}
	made := b.build(records, false)
	f.Add(made.heads, made.lines)
	f.Add([]byte{}, []byte("x"))
	z, err := newUnpacker()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, heads, lines []byte) {
		var u unpacked
		if err := u.unpack(z, heads, lines); err != nil {
			if !errors.Is(err, errBlock) {
				t.Errorf("error %v", err)
			}
			return
		}
		n := 0
		for range u.each() {
			n++
		}
		if n != u.entries {
			t.Errorf("%d lines of %d", n, u.entries)
		}
		var want, have []hit
		for line, r := range u.each() {
			if bytes.Contains(line, []byte("00")) {
				want = append(want, hit{line, r})
			}
		}
		for line, r := range u.with(newFinder([]byte("00"))) {
			have = append(have, hit{line, r})
		}
		if !slices.EqualFunc(have, want, func(a, b hit) bool { return a.run == b.run && bytes.Equal(a.line, b.line) }) {
			t.Errorf("%d lines with a text, want %d", len(have), len(want))
		}
	})
}

// FuzzHeads: columns that are no heads are an error, and heads survive being written again.
func FuzzHeads(f *testing.F) {
	f.Add(appendHeads(nil, []run{{3, 7, 100, 1_795_000_000_000}, {1, 2, 101, 5}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		runs, _, err := decodeHeads(b, nil)
		if err != nil {
			return
		}
		again, _, err := decodeHeads(appendHeads(nil, runs), nil)
		if err != nil || !slices.Equal(again, runs) {
			t.Errorf("%v became %v, %v", runs, again, err)
		}
	})
}

// FuzzRuns: the numbers of a process that a damaged file names stay between first and last.
func FuzzRuns(f *testing.F) {
	f.Add(uint64(1), uint64(9), []byte{1, 1, 3})
	f.Fuzz(func(t *testing.T, first, last uint64, runs []byte) {
		if first > last {
			return
		}
		_ = eachRun(first, last, runs, func(from, to uint64) {
			if from < first || to > last || from > to {
				t.Errorf("%d to %d of %d to %d", from, to, first, last)
			}
		})
	})
}

// TestMerge: however few entries a commit has, blocks grow, and none is written often.
func TestMerge(t *testing.T) {
	b, err := newBuilder()
	if err != nil {
		t.Fatal(err)
	}
	defer b.pack.Close()
	f := &dayFile{}
	s := newSubject(1, "dlog.in.shop.info.-")
	written, blocks := 0, 0
	for i := range 20_000 {
		n := 1 + i%3
		merged := f.merge(n)
		f.tail = f.tail[:len(f.tail)-len(merged)]
		records := make([]record, n)
		for i := range records {
			records[i] = record{line: []byte("{}"), subject: s}
		}
		for _, m := range merged {
			records = append(records, m.records...)
		}
		written += len(records)
		out := &built{records: records}
		if f.tail = grow(f.tail, 1, out); f.tail == nil {
			blocks++
		}
	}
	if perEntry := float64(written) / 40_000; perEntry > 4.5 {
		t.Errorf("an entry is written %.1f times", perEntry)
	}
	if blocks < 40 || len(f.tail) > 3*fanOut {
		t.Errorf("%d blocks are full, %d are small", blocks, len(f.tail))
	}
}
