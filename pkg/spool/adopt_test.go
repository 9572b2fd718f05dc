package spool_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// eachWay runs a test with mapped and with written files.
func eachWay(t *testing.T, f func(t *testing.T, cfg spool.Config)) {
	for name, noMap := range map[string]bool{"mapped": false, "written": true} {
		t.Run(name, func(t *testing.T) { f(t, spool.Config{Dir: t.TempDir(), NoMap: noMap}) })
	}
}

func mustOpen(t *testing.T, cfg spool.Config) spool.Queue {
	t.Helper()
	q, err := spool.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func mustClose(t *testing.T, q spool.Queue) {
	t.Helper()
	if err := q.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func adoptOne(t *testing.T, dir string) *spool.Adopted {
	t.Helper()
	all, err := spool.Adopt(dir)
	if err != nil || len(all) != 1 {
		t.Fatalf("adopted %d: %v", len(all), err)
	}
	return all[0]
}

func processes(t *testing.T, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAdoptedQueueYieldsPacksThenEntries(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg spool.Config) {
		q := mustOpen(t, cfg)
		if err := q.SetBirth([]byte(`{"message":"born"}`)); err != nil {
			t.Fatal(err)
		}
		if all, err := spool.Adopt(cfg.Dir); len(all) > 0 || err != nil {
			t.Fatalf("adopted a living process: %v", err)
		}
		var items []spool.Item
		for i := range 100 {
			mustPut(t, q, fmt.Sprintf("s.%d", i%2), fmt.Sprintf("line %d\n", i))
			items = append(items, next(t, q))
		}
		sub := func(s, from, to int) (run []spool.Item) { // entries from, from+2… of subject s
			for i := from; i < to; i++ {
				run = append(run, items[2*i+s])
			}
			return run
		}
		acked, first, second := pack(1, sub(0, 0, 10)...), pack(2, sub(1, 0, 20)...), pack(7, sub(0, 10, 15)...)
		for _, p := range []spool.Pack{acked, first, second} {
			fix(t, q, p)
		}
		q.Acked(1)
		wantFirst, _ := q.Bytes(first, nil)
		f, _ := q.Reserve("s.0", entry.Debug, false, 3<<20)
		f.Commit(0) // refused, too large, so that there is something to count
		key := q.Key()
		mustClose(t, q)

		a := adoptOne(t, cfg.Dir)
		if a.Key() != key || string(a.Birth()) != `{"message":"born"}` || a.LastNumber() != 7 || len(a.Refused()) != 1 || a.Refused()[0].Count != 1 {
			t.Errorf("key %s, birth %s, number %d, refused %v", a.Key(), a.Birth(), a.LastNumber(), a.Refused())
		}
		if _, err := a.Reserve("s", entry.Panic, false, 1); !errors.Is(err, spool.ErrClosed) {
			t.Errorf("reserve: %v", err)
		}
		if p := a.Pending(); !slices.Equal(p, []spool.Pack{first, second}) {
			t.Errorf("pending %+v", p)
		}
		if s := a.Stats(); s.Waiting != 25 {
			t.Errorf("waiting with two packs pending: %+v", s)
		}
		got, err := a.Bytes(first, nil)
		if err != nil || !bytes.Equal(got, wantFirst) {
			t.Errorf("bytes: %v %q", err, got)
		}
		a.Acked(2)
		if got := len(a.Pending()); got != 1 {
			t.Errorf("%d pending after an ack", got)
		}
		n := 0
		drain(t, a, func(spool.Item) { n++ })
		if s := a.Stats(); s.Waiting != 5 {
			t.Errorf("waiting with one pack pending: %+v", s)
		}
		if n != 100-10-20-5 || a.Drained() {
			t.Errorf("%d entries, drained %v with a pack pending", n, a.Drained())
		}
		mustClose(t, a)

		b := adoptOne(t, cfg.Dir) // what the first adopter got acked does not come again
		if it, ok := b.Next(); ok {
			t.Errorf("again %q", it.Line)
		}
		if p := b.Pending(); !slices.Equal(p, []spool.Pack{second}) {
			t.Errorf("pending %+v", p)
		}
		b.Acked(7)
		if !b.Drained() || b.LastSeq() != 100 {
			t.Errorf("drained %v, last number %d", b.Drained(), b.LastSeq())
		}
		mustClose(t, b)
		if left := processes(t, cfg.Dir); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	})
}

func TestCleanCloseRemovesItsDirectory(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg spool.Config) {
		q, r := mustOpen(t, cfg), mustOpen(t, cfg)
		if n := len(processes(t, cfg.Dir)); n != 2 {
			t.Errorf("%d process directories of two queues", n)
		}
		mustPut(t, q, "s", "x\n")
		drain(t, q, nil)
		mustClose(t, q)
		mustPut(t, r, "s", "x\n")
		mustClose(t, r)
		if n := len(processes(t, cfg.Dir)); n != 1 {
			t.Errorf("%d process directories after the end of both, one of them with an entry", n)
		}
	})
}

// TestOneHeldEntry keeps one entry un-acked while 20 times the queue's size passes by: others are freed around it, and it is
// the one that an adopter finds.
func TestOneHeldEntry(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg spool.Config) {
		cfg.Bytes = 4 << 20
		q := mustOpen(t, cfg)
		mustPut(t, q, "held", "the one\n")
		held := next(t, q)
		for round := range 40 {
			for range 1000 {
				if err := put(q, "s", entry.Debug, strings.Repeat("x", 1000)+"\n"); err != nil {
					t.Fatalf("round %d: %v", round, err)
				}
			}
			drain(t, q, nil)
		}
		if string(held.Line) != "the one\n" {
			t.Errorf("the un-acked line is now %q", held.Line)
		}
		mustClose(t, q)
		a := adoptOne(t, cfg.Dir)
		if it := next(t, a); string(it.Line) != "the one\n" || it.Subject != "held" || it.Seq != 1 {
			t.Errorf("%+v", it)
		}
		if it, ok := a.Next(); ok {
			t.Errorf("an acked entry came back: number %d", it.Seq)
		}
		mustClose(t, a)
	})
}

func TestAdoptRefusesWhatItShould(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg spool.Config) {
		one := func(what string, spoil func(dir string), want string) {
			t.Helper()
			cfg.Dir = t.TempDir()
			q := mustOpen(t, cfg)
			mustPut(t, q, "s", "x\n")
			mustClose(t, q)
			dir := processes(t, cfg.Dir)[0]
			spoil(dir)
			all, err := spool.Adopt(cfg.Dir)
			for _, a := range all {
				mustClose(t, a)
			}
			if want == "" && (err != nil || len(all) != 0) {
				t.Errorf("%s: adopted %d, %v", what, len(all), err)
			}
			if want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%s: adopted %d, error %v, want one line with %q", what, len(all), err, want)
			}
			if _, err := os.Lstat(dir); err != nil {
				t.Errorf("%s: not left alone: %v", what, err)
			}
		}
		patch := func(dir, name string, f func([]byte)) {
			path := filepath.Join(dir, name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			f(b)
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		link := func(name string) func(string) {
			return func(dir string) {
				path := filepath.Join(dir, name)
				if err := os.Rename(path, path+"x"); err != nil {
					t.Fatal(err)
				}
				if err := os.Symlink(path+"x", path); err != nil {
					t.Skip(err)
				}
			}
		}
		newer := func(b []byte) {
			binary.LittleEndian.PutUint32(b[8:], 99)
			binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crc32.MakeTable(crc32.Castagnoli)))
		}
		one("newer head", func(d string) { patch(d, "head", newer) }, "newer version of dlog (format 99, this one reads 1)")
		one("newer segment", func(d string) { patch(d, "00000001.seg", newer) }, "00000001.seg: written by a newer version")
		one("newer journal", func(d string) { patch(d, "journal.0", newer) }, "newer version")
		one("damaged head", func(d string) { patch(d, "head", func(b []byte) { b[20]++ }) }, "head is damaged")
		one("no head", func(d string) { patch(d, "head", func(b []byte) { clear(b) }) }, "head is not one of a spool")
		one("unfinished", func(d string) { _ = os.Remove(filepath.Join(d, "head")) }, "")
		one("segment is a link", link("00000001.seg"), "not a regular file")
		one("head is a link", link("head"), "not a regular file")
		one("lock is a link", link("lock"), "not a regular file")
		one("huge", func(d string) { _ = os.Truncate(filepath.Join(d, "00000001.seg"), 1<<30) }, "larger than any file")
	})
}

func TestAdoptIgnoresStrangers(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"notes", "0123456789abcdeg", ".hidden"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := spool.Adopt(dir); err != nil || len(all) > 0 {
		t.Errorf("adopted %d, %v", len(all), err)
	}
	if all, err := spool.Adopt(filepath.Join(dir, "missing")); err != nil || len(all) > 0 {
		t.Errorf("adopted %d, %v", len(all), err)
	}
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "0123456789abcdef")); err != nil {
		t.Skip(err)
	}
	if _, err := spool.Adopt(dir); err == nil {
		t.Error("a link was followed")
	}
}

// TestAdoptCutFiles cuts and flips the files of a spool at many places: what is whole comes out, nothing else does, and nothing breaks.
func TestAdoptCutFiles(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg spool.Config) {
		q := mustOpen(t, cfg)
		said := map[string]bool{}
		for i := range 2000 {
			line := fmt.Sprintf("line %d %s\n", i, strings.Repeat("y", i%100))
			said[line] = true
			mustPut(t, q, "s.t", line)
		}
		items := make([]spool.Item, 0, 50)
		for range 50 {
			items = append(items, next(t, q))
		}
		fix(t, q, pack(1, items[:20]...))
		fix(t, q, pack(2, items[20:]...))
		mustClose(t, q)
		dir := processes(t, cfg.Dir)[0]
		seg, err := os.ReadFile(filepath.Join(dir, "00000001.seg"))
		if err != nil {
			t.Fatal(err)
		}
		try := func(b []byte, least int) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, "00000001.seg"), b, 0o600); err != nil {
				t.Fatal(err)
			}
			a := adoptOne(t, cfg.Dir)
			n := 0
			for it, ok := a.Next(); ok; it, ok = a.Next() {
				if n++; !said[string(it.Line)] {
					t.Fatalf("nobody said %q", it.Line)
				}
			}
			for _, p := range a.Pending() {
				n += p.Count
				if _, err := a.Bytes(p, nil); err != nil {
					t.Fatal(err)
				}
			}
			if n < least || n > len(said) {
				t.Errorf("%d entries, want at least %d", n, least)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
		try(seg, len(said))
		for i := range 40 {
			flipped := bytes.Clone(seg)
			for k := range 20 {
				flipped[64+(i*7919+k*1013)%100000] ^= byte(1 << (i % 8))
			}
			try(flipped, len(said)-60)
		}
		for cut := len(seg); cut > 64; cut -= 30011 {
			try(seg[:cut], 0)
		}
	})
}

func TestAdoptSome(t *testing.T) {
	dir := t.TempDir()
	for i := range 6 {
		q := mustOpen(t, spool.Config{Dir: dir})
		if i > 0 { // the first died before it stored its birth entry
			if err := q.SetBirth(fmt.Appendf(nil, "service %d", i%2)); err != nil {
				t.Fatal(err)
			}
		}
		mustPut(t, q, "s", fmt.Sprintf("%d\n", i))
		mustClose(t, q)
	}
	f := func(most int, want func([]byte) bool, n int) {
		t.Helper()
		all, err := spool.AdoptSome(dir, most, want)
		if err != nil || len(all) != n {
			t.Errorf("adopted %d, %v; want %d", len(all), err, n)
		}
		for _, a := range all {
			mustClose(t, a)
		}
	}
	f(100, nil, 6)
	f(4, nil, 4)
	f(100, func(b []byte) bool { return string(b) == "service 1" }, 3)
	f(100, func(b []byte) bool { return b == nil }, 1)
	f(0, nil, 0)
}

// An adopter acks the last entries before the first and dies: the next one still knows the last number.
func TestLastSeqOutlivesTheLastSegment(t *testing.T) {
	eachWay(t, func(t *testing.T, cfg spool.Config) {
		cfg.Bytes = 4 << 20
		q := mustOpen(t, cfg)
		line := strings.Repeat("x", 1000) + "\n"
		n := 0
		for ; q.Stats().Bytes < 2<<20; n++ { // several segments
			mustPut(t, q, fmt.Sprintf("s.%d", min(n, 1)), line)
		}
		mustClose(t, q)
		a := adoptOne(t, cfg.Dir)
		var items []spool.Item
		for range n {
			items = append(items, next(t, a))
		}
		if _, ok := a.Next(); ok {
			t.Error("one entry too many")
		}
		late := pack(1, items[1:]...)
		fix(t, a, late)
		a.Acked(1)
		mustClose(t, a)
		b := adoptOne(t, cfg.Dir)
		if next(t, b); b.LastSeq() != uint64(n) {
			t.Errorf("last number %d, want %d", b.LastSeq(), n)
		}
		mustClose(t, b)
	})
}
