package spool

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// TestHungProducer: a frame that nobody commits holds the others up for a second, no longer; and when its producer comes back,
// its line follows under its own number.
func TestHungProducer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewMemory(Config{})
		hung, _ := q.Reserve("s.hung", entry.Warn, true, 50)
		gone, _ := q.Reserve("s.gone", entry.Warn, false, 50)
		f, _ := q.Reserve("s", entry.Info, false, 10)
		f.Commit(copy(f.Line, "later\n"))
		if _, ok := q.Next(); ok {
			t.Fatal("an entry overtook one that is being written")
		}
		time.Sleep(forsakeAfter)
		_, _ = q.Next() // gives up the first, sees the second
		time.Sleep(forsakeAfter)
		if it, ok := q.Next(); !ok || string(it.Line) != "later\n" {
			t.Fatalf("%v %q", ok, it.Line)
		}
		hung.Commit(copy(hung.Line, "hung\n"))
		hung.Commit(2)
		gone.Abandon()
		it, ok := q.Next()
		if !ok || string(it.Line) != "hung\n" || it.Seq != 1 || it.Subject != "s.hung" || !it.Task || it.Level != entry.Warn {
			t.Errorf("%v %+v %q", ok, it, it.Line)
		}
		if it, ok := q.Next(); ok {
			t.Errorf("again: %q", it.Line)
		}
		if s := q.Stats(); s.Waiting != 2 || s.Holes != 2 {
			t.Errorf("%+v", s)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestWaitingForRoomIsBounded: the one who finds the queue full waits 5 ms, the others of the same second not at all.
func TestWaitingForRoomIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := NewMemory(Config{Bytes: 64 << 10})
		defer q.Close()
		try := func() time.Duration {
			start := time.Now()
			for {
				f, err := q.Reserve("s", entry.Error, false, 1000)
				if err != nil {
					return time.Since(start)
				}
				f.Commit(1000)
			}
		}
		for _, want := range []time.Duration{5 * time.Millisecond, 0, 0} {
			if got := try(); got != want {
				t.Errorf("waited %v, want %v", got, want)
			}
		}
		time.Sleep(time.Second)
		if got := try(); got != 5*time.Millisecond {
			t.Errorf("a second later: waited %v", got)
		}
	})
}

func TestFrameWords(t *testing.T) {
	f := func(seq uint64, level entry.Level, task bool, subject int) {
		t.Helper()
		m := makeMeta(seq, level, task, subject)
		if metaSeq(m) != seq || metaLevel(m) != level || metaTask(m) != task || metaSubject(m) != subject {
			t.Errorf("%d %v %v %d became %d %v %v %d", seq, level, task, subject, metaSeq(m), metaLevel(m), metaTask(m), metaSubject(m))
		}
	}
	for _, l := range entry.Levels() {
		f(1, l, false, 0)
		f(maxSeq, l, true, MaxSubject)
	}
}

func TestPlace(t *testing.T) {
	dir := t.TempDir()
	shared := filepath.Join(dir, "shared")
	f := func(want, source string, env map[string]string, sharedThere bool) {
		t.Helper()
		_ = os.Remove(shared)
		if sharedThere {
			if err := os.Mkdir(shared, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		got := place(func(k string) string { return env[k] }, filepath.Join(dir, "missing"), shared)
		if got.Dir != want || got.Source != source || got.Text == "" {
			t.Errorf("%v: %+v, want %s from %s", env, got, want, source)
		}
	}
	state, home, file := filepath.Join(dir, "state"), filepath.Join(dir, "home"), filepath.Join(dir, "file")
	if err := errors.Join(os.Mkdir(state, 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	f("", "no directory that can be written", nil, false)
	f("/nowhere/at/all", "DLOG_SPOOL", map[string]string{"DLOG_SPOOL": "/nowhere/at/all", "STATE_DIRECTORY": state}, true)
	f("", "DLOG_SPOOL", map[string]string{"DLOG_SPOOL": "memory", "STATE_DIRECTORY": state}, true)
	f(state+"/dlog", "STATE_DIRECTORY", map[string]string{"STATE_DIRECTORY": state + ":/other", "XDG_STATE_HOME": home}, true)
	f(shared, shared, map[string]string{"XDG_STATE_HOME": home}, true)
	f(home+"/dlog", "XDG_STATE_HOME", map[string]string{"XDG_STATE_HOME": home}, false)
	f("", "no directory that can be written", map[string]string{"XDG_STATE_HOME": "relative", "STATE_DIRECTORY": state + "/missing"}, false)
	f("", "no directory that can be written", map[string]string{"XDG_STATE_HOME": file, "STATE_DIRECTORY": file}, false)
	if _, err := os.Stat(state + "/dlog"); err == nil {
		t.Error("Place made a directory")
	}
}

// TestDeadDoNotFillTheDisk: processes that die one after the other with nobody to take their entries stop adding files.
func TestDeadDoNotFillTheDisk(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, Bytes: 4 << 20}
	lives := 0
	for ; lives < 100; lives++ {
		q, err := OpenOrMemory(cfg)
		for range 1000 {
			f, _ := q.Reserve("s", entry.Warn, false, 1000)
			f.Commit(copy(f.Line, strings.Repeat("x", 999)+"\n"))
		}
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			if !strings.Contains(err.Error(), ErrManyDead.Error()) {
				t.Fatal(err)
			}
			break
		}
		adopted, err := Adopt(dir) // as the next start does, with no server to send to
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range adopted {
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if lives < 3 || lives > 5 {
		t.Errorf("%d lives of a MiB each fitted into 4 MiB", lives)
	}
}

// segmentOf returns the file of a queue in which a few entries were said.
func segmentOf(tb testing.TB) []byte {
	dir := tb.TempDir()
	q, err := Open(Config{Dir: dir, Bytes: 64 << 10, NoMap: true})
	if err != nil {
		tb.Fatal(err)
	}
	for i := range 20 {
		f, err := q.Reserve("dlog.in.a.info.b", entry.Info, false, 100)
		if err != nil {
			tb.Fatal(err)
		}
		if i%7 == 3 {
			f.Abandon()
			continue
		}
		f.Commit(copy(f.Line, fmt.Sprintf("{\"n\":%d}\n", i)))
	}
	if err := q.Close(); err != nil {
		tb.Fatal(err)
	}
	found, _ := filepath.Glob(filepath.Join(dir, "*", "00000001.seg"))
	b, err := os.ReadFile(found[0])
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// FuzzSegment: whatever a segment's file holds, its reader ends, stays within it, and returns frames that verify.
func FuzzSegment(f *testing.F) {
	seg := segmentOf(f)
	f.Add(seg[:4096])
	f.Add(seg[:300])
	f.Add(seg[:headerSize])
	half := bytes.Clone(seg[:4096])
	clear(half[64:200])
	f.Add(half)
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := parseHeader(b)
		if err != nil {
			h.nonce = 1
		}
		mem := alignedBytes(max(len(b)&^(align-1), headerSize))
		copy(mem, b)
		fd := finder{mem: mem, nonce: h.nonce, off: headerSize}
		last := 0
		for v, _, ok := fd.next(); ok; v, _, ok = fd.next() {
			if v.off <= last || !validSubject(v.subject(mem)) || len(v.line(mem)) > v.n {
				t.Fatalf("frame %+v after %d", v, last)
			}
			last = v.off
		}
	})
}

// FuzzJournal: whatever a journal's file holds, only whole packs come out, and writing those gives them back.
func FuzzJournal(f *testing.F) {
	b := make([]byte, 4*slotSize)
	copy(b, journalMagic)
	b[8] = version
	putSlot(b[slotSize:2*slotSize], Pack{Number: 3, First: 64, Last: 1 << 40, Count: 2, CRC: 7, At: 9})
	f.Add(b)
	f.Add(b[:slotSize])
	f.Fuzz(func(t *testing.T, b []byte) {
		_ = parseJournal(b, func(slot int, p Pack) {
			var again [slotSize]byte
			putSlot(again[:], p)
			if q, ok := parseSlot(again[:]); !ok || q != p || p.Number == 0 || p.Count <= 0 || p.First > p.Last {
				t.Fatalf("slot %d: %+v, again %+v %v", slot, p, q, ok)
			}
		})
	})
}

// FuzzAdopt: whatever lies in the files of a dead process, adopting, reading and closing end without harm.
func FuzzAdopt(f *testing.F) {
	seg := segmentOf(f)[:4096]
	journal := make([]byte, 3*slotSize)
	copy(journal, journalMagic)
	journal[8] = version
	putSlot(journal[slotSize:2*slotSize], Pack{Number: 1, First: 64, Last: 400, Count: 3, CRC: 5})
	f.Add(seg, journal, 0)
	f.Add(seg[:70], journal[:3], 100)
	f.Fuzz(func(t *testing.T, seg, journal []byte, cut int) {
		dir := t.TempDir()
		q, err := Open(Config{Dir: dir, Bytes: 64 << 10, NoMap: true})
		if err != nil {
			t.Fatal(err)
		}
		fr, _ := q.Reserve("s", entry.Info, false, 10)
		fr.Commit(10)
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		found, _ := filepath.Glob(filepath.Join(dir, "*"))
		if err := os.WriteFile(filepath.Join(found[0], "00000001.seg"), seg, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(found[0], "journal.0"), journal, 0o600); err != nil {
			t.Fatal(err)
		}
		if cut > 0 {
			_ = os.Truncate(filepath.Join(found[0], headFile), int64(cut%(headSize+100)))
		}
		all, err := Adopt(dir)
		if err != nil {
			return
		}
		for _, a := range all {
			for _, p := range a.Pending() {
				if _, err := a.Bytes(p, nil); err != nil {
					t.Errorf("pending pack %d: %v", p.Number, err)
				}
				a.Acked(p.Number)
			}
			for it, ok := a.Next(); ok; it, ok = a.Next() {
				p := Pack{Number: a.LastNumber() + 1, Subject: it.Subject, First: it.At, Last: it.At, Count: 1}
				if p.Number == 0 {
					break // the file claimed the last number there is
				}
				if err := a.Fix(p); err != nil {
					t.Fatal(err)
				}
				a.Acked(p.Number)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestBacklogRests: segments that wait for an absent server leave the memory, and come back when they are read.
func TestBacklogRests(t *testing.T) {
	for _, noMap := range []bool{false, true} {
		q, err := Open(Config{Dir: t.TempDir(), Bytes: 16 << 20, NoMap: noMap})
		if err != nil {
			t.Fatal(err)
		}
		const entries = 10000
		for i := range entries {
			f, err := q.Reserve("s", entry.Warn, false, 1000)
			if err != nil {
				t.Fatal(err)
			}
			f.Commit(copy(f.Line, fmt.Sprintf("%d\n%s", i, strings.Repeat("x", 900))))
		}
		c, _ := q.(*chain)
		c.work.Wait()
		resting := 0
		for _, g := range c.segs {
			if g.resting {
				resting++
			}
		}
		if resting < len(c.segs)-3 {
			t.Errorf("%d of %d segments rest", resting, len(c.segs))
		}
		for i := range entries {
			it, ok := q.Next()
			if n, _, _ := strings.Cut(string(it.Line), "\n"); !ok || n != fmt.Sprint(i) {
				t.Fatalf("entry %d: %v %q", i, ok, n)
			}
			p := Pack{Number: uint64(i + 1), Subject: "s", First: it.At, Last: it.At, Count: 1}
			if err := q.Fix(p); err != nil {
				t.Fatal(err)
			}
			q.Acked(p.Number)
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestManyProducersAtTheSeal: small segments and many goroutines: every number is there once, and none is lost at a seal.
func TestManyProducersAtTheSeal(t *testing.T) {
	q := NewMemory(Config{Bytes: 64 << 10})
	defer q.Close()
	const producers, entries = 16, 2000
	done := make(chan struct{}, producers)
	room := make(chan struct{}, producers)
	for range producers {
		go func() {
			defer func() { done <- struct{}{} }()
			for i := 0; i < entries; {
				n := 1 + rand.IntN(3000)
				f, err := q.Reserve("s", entry.Fatal, false, n)
				if err != nil {
					<-room
					continue
				}
				i++
				f.Commit(n)
			}
		}()
	}
	seen := make([]bool, producers*entries+1)
	for number := uint64(1); number <= producers*entries; number++ {
		it, ok := q.Next()
		for !ok {
			select {
			case room <- struct{}{}:
			default:
			}
			it, ok = q.Next()
		}
		if it.Seq > producers*entries || seen[it.Seq] {
			t.Fatalf("number %d twice or too large", it.Seq)
		}
		seen[it.Seq] = true
		p := Pack{Number: number, Subject: "s", First: it.At, Last: it.At, Count: 1}
		if err := q.Fix(p); err != nil {
			t.Fatal(err)
		}
		q.Acked(number)
	}
	close(room)
	for range producers {
		<-done
	}
}
