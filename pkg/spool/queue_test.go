package spool_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// kinds are the queues that the contract is run against; each returns a new one of the configuration given.
var kinds = map[string]func(*testing.T, spool.Config) spool.Queue{
	"memory":  func(_ *testing.T, cfg spool.Config) spool.Queue { return spool.NewMemory(cfg) },
	"mapped":  func(t *testing.T, cfg spool.Config) spool.Queue { return open(t, cfg, false) },
	"written": func(t *testing.T, cfg spool.Config) spool.Queue { return open(t, cfg, true) },
}

// each runs a test against every kind.
func each(t *testing.T, cfg spool.Config, f func(*testing.T, spool.Queue)) {
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			q := open(t, cfg)
			defer func() {
				if err := q.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			f(t, q)
		})
	}
}

func put(q spool.Appender, subject string, level entry.Level, line string) error {
	f, err := q.Reserve(subject, level, false, len(line)+20)
	if err != nil {
		return err
	}
	f.Commit(copy(f.Line, line))
	return nil
}

func mustPut(t *testing.T, q spool.Appender, subject, line string) {
	t.Helper()
	if err := put(q, subject, entry.Info, line); err != nil {
		t.Fatalf("put %q: %v", line, err)
	}
}

func next(t *testing.T, q spool.Queue) spool.Item {
	t.Helper()
	it, ok := q.Next()
	if !ok {
		t.Fatal("no entry")
	}
	return it
}

// pack makes a pack of items of one subject.
func pack(number uint64, items ...spool.Item) spool.Pack {
	p := spool.Pack{Number: number, Subject: items[0].Subject, First: items[0].At, Last: items[len(items)-1].At, Count: len(items), At: 1}
	for _, it := range items {
		p.CRC = spool.Checksum(p.CRC, it.Line)
	}
	return p
}

func fix(t *testing.T, q spool.Queue, p spool.Pack) {
	t.Helper()
	if err := q.Fix(p); err != nil {
		t.Fatal(err)
	}
}

func TestOrderNumbersAndContent(t *testing.T) {
	each(t, spool.Config{}, func(t *testing.T, q spool.Queue) {
		f, err := q.Reserve("dlog.in.a.task.-", entry.Debug, true, 64)
		if err != nil || len(f.Line) != 64 || f.Seq != 1 {
			t.Fatalf("reserve: %d bytes, number %d, %v", len(f.Line), f.Seq, err)
		}
		if _, ok := q.Next(); ok {
			t.Error("an entry before the commit")
		}
		mustPut(t, q, "s", "second\n")
		if _, ok := q.Next(); ok {
			t.Error("a later entry before the commit of an earlier one")
		}
		f.Commit(copy(f.Line, "first\n"))
		a, b := next(t, q), next(t, q)
		if string(a.Line) != "first\n" || a.Seq != 1 || a.Level != entry.Debug || !a.Task || a.Subject != "dlog.in.a.task.-" {
			t.Errorf("first: %+v %q", a, a.Line)
		}
		if string(b.Line) != "second\n" || b.Seq != 2 || b.Level != entry.Info || b.Task || b.At <= a.At {
			t.Errorf("second: %+v %q", b, b.Line)
		}
		if _, ok := q.Next(); ok {
			t.Error("a third entry")
		}
		f.Commit(2) // a second end is ignored
		f.Abandon()
	})
}

func TestAbandon(t *testing.T) {
	each(t, spool.Config{}, func(t *testing.T, q spool.Queue) {
		f, _ := q.Reserve("s", entry.Info, false, 100)
		g, _ := q.Reserve("s", entry.Info, false, 100)
		f.Abandon()
		g.Commit(101) // longer than the room: the same
		mustPut(t, q, "s", "x\n")
		if it := next(t, q); it.Seq != 3 {
			t.Errorf("number %d after two holes", it.Seq)
		}
		if s := q.Stats(); s.Holes != 2 || s.Waiting != 1 || s.Reserved != 3 {
			t.Errorf("%+v", s)
		}
		spool.Frame{}.Commit(3)
		spool.Frame{}.Abandon()
	})
}

func TestPacksOfInterleavedSubjects(t *testing.T) {
	each(t, spool.Config{}, func(t *testing.T, q spool.Queue) {
		items := map[string][]spool.Item{}
		for i := range 90 {
			mustPut(t, q, fmt.Sprintf("s%d", i%3), fmt.Sprintf("line %d\n", i))
			it := next(t, q)
			items[it.Subject] = append(items[it.Subject], it)
		}
		a, b := pack(1, items["s1"][:10]...), pack(2, items["s1"][10:]...)
		if err := q.Fix(b); err == nil {
			t.Error("a pack that leaves earlier entries of its subject out was fixed")
		}
		fix(t, q, a)
		if err := q.Fix(a); err == nil {
			t.Error("a pack was fixed twice")
		}
		fix(t, q, b)
		if q.LastNumber() != 2 {
			t.Errorf("last number %d", q.LastNumber())
		}
		for range 2 {
			got, err := q.Bytes(b, []byte("in front "))
			var want bytes.Buffer
			want.WriteString("in front ")
			for _, it := range items["s1"][10:] {
				want.Write(it.Line)
			}
			if err != nil || !bytes.Equal(got, want.Bytes()) {
				t.Errorf("bytes: %v\n%q\n%q", err, got, want.Bytes())
			}
		}
		q.Acked(2)
		q.Acked(2)
		q.Acked(99)
		if _, err := q.Bytes(b, nil); err == nil {
			t.Error("an acked pack was formed again")
		}
		if s := q.Stats(); s.Acked != 20 || s.Waiting != 70 {
			t.Errorf("%+v", s)
		}
		if p := q.Pending(); len(p) > 0 {
			t.Errorf("pending in a new queue: %v", p)
		}
	})
}

// drain reads and acks everything, one pack for each subject and call.
func drain(t *testing.T, q spool.Queue, each func(spool.Item)) {
	t.Helper()
	items := map[string][]spool.Item{}
	for it, ok := q.Next(); ok; it, ok = q.Next() {
		if each != nil {
			each(it)
		}
		items[it.Subject] = append(items[it.Subject], it)
	}
	for _, run := range items {
		p := pack(q.LastNumber()+1, run...)
		fix(t, q, p)
		q.Acked(p.Number)
	}
}

func TestRefusalByLevel(t *testing.T) {
	each(t, spool.Config{Bytes: 1 << 20, Block: -1}, func(t *testing.T, q spool.Queue) {
		fill := func(level entry.Level) (n int) {
			for put(q, "s", level, string(bytes.Repeat([]byte("x"), 1000))) == nil {
				n++
			}
			return n
		}
		perMiB := 1 << 20 / 1040
		check := func(what string, got, least, most int) {
			t.Helper()
			if got < least || got > most {
				t.Errorf("%s: %d entries, want %d to %d", what, got, least, most)
			}
		}
		check("debug", fill(entry.Debug), perMiB*75/100, perMiB*80/100)
		check("trace after debug", fill(entry.Trace), 0, 0)
		check("info", fill(entry.Info), perMiB*8/100, perMiB*11/100)
		check("none after info", fill(entry.None), 0, 0)
		check("warn", fill(entry.Warn), perMiB*6/100, perMiB*12/100)
		check("fatal after warn", fill(entry.Fatal), 0, 0)
		if _, err := q.Reserve("s", entry.Debug, true, 1000); !errors.Is(err, spool.ErrRefused) {
			t.Errorf("task entry: %v", err)
		}
		by := q.Stats().RefusedByLevel()
		for _, l := range []string{"trace", "debug", "info", "warn", "fatal", "none", "task"} {
			if by[l] != 1 {
				t.Errorf("refused %s: %d, want 1", l, by[l])
			}
		}
		seqs := uint64(0)
		drain(t, q, func(it spool.Item) {
			if seqs++; it.Seq != seqs {
				t.Fatalf("number %d follows %d: a refused entry took one", it.Seq, seqs-1)
			}
		})
		check("debug after drain", fill(entry.Debug), perMiB*50/100, perMiB*80/100)
	})
}

func TestTooLarge(t *testing.T) {
	each(t, spool.Config{Bytes: 16 << 20}, func(t *testing.T, q spool.Queue) {
		if _, err := q.Reserve("s", entry.Panic, false, 3<<20); !errors.Is(err, spool.ErrTooLarge) {
			t.Errorf("3 MiB: %v", err)
		}
		if _, err := q.Reserve(string(make([]byte, spool.MaxSubject+1)), entry.Info, false, 10); !errors.Is(err, spool.ErrTooLarge) {
			t.Errorf("long subject: %v", err)
		}
		if _, err := q.Reserve("s", entry.Info, false, -1); !errors.Is(err, spool.ErrTooLarge) {
			t.Errorf("negative: %v", err)
		}
		for range 200 { // the longest line of the wire, over many segments
			f, err := q.Reserve("s", entry.Info, false, entry.MaxLine+1000)
			if err != nil {
				t.Fatal(err)
			}
			f.Commit(len(f.Line))
			drain(t, q, nil)
		}
	})
}

func TestFullWaitsForRoomAtMostOnceASecond(t *testing.T) {
	each(t, spool.Config{Bytes: 64 << 10, Block: time.Minute}, func(t *testing.T, q spool.Queue) {
		line := string(bytes.Repeat([]byte("x"), 500))
		for put(q, "s", entry.Info, line) == nil {
		}
		n := 0
		for q.Stats().Bytes < 64<<10-3000 {
			n++
			if err := put(q, "s", entry.Warn, line); err != nil {
				t.Fatal(err)
			}
		}
		// The next ones fill the queue; the one that finds no room waits until the reader makes some.
		done := make(chan error, 1)
		go func() {
			var err error
			for range 10 {
				if err = put(q, "s", entry.Error, line); err != nil {
					break
				}
			}
			done <- err
		}()
		for {
			select {
			case err := <-done:
				if err != nil {
					t.Errorf("after waiting: %v", err)
				}
				return
			default:
				drain(t, q, nil)
			}
		}
	})
}

func TestCloseRefuses(t *testing.T) {
	each(t, spool.Config{}, func(t *testing.T, q spool.Queue) {
		mustPut(t, q, "s", "x\n")
		it := next(t, q)
		fix(t, q, pack(1, it))
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if err := put(q, "s", entry.Fatal, "y\n"); !errors.Is(err, spool.ErrClosed) {
			t.Errorf("reserve: %v", err)
		}
		if _, ok := q.Next(); ok {
			t.Error("an entry from a closed queue")
		}
		q.Acked(1)
		if err := q.Fix(spool.Pack{Number: 2}); err == nil {
			t.Error("fix on a closed queue")
		}
		if _, err := q.Bytes(pack(1, it), nil); err == nil {
			t.Error("bytes from a closed queue")
		}
	})
}

func TestNotify(t *testing.T) {
	each(t, spool.Config{}, func(t *testing.T, q spool.Queue) {
		var got []string
		q.Notify(func(l entry.Level, task bool) { got = append(got, fmt.Sprint(l, task)) })
		mustPut(t, q, "s", "x\n")
		f, _ := q.Reserve("s", entry.Trace, true, 1)
		f.Commit(1)
		q.Notify(nil)
		mustPut(t, q, "s", "x\n")
		if fmt.Sprint(got) != "[info false trace true]" {
			t.Error(got)
		}
	})
}

// TestManyProducers checks with a reader beside them that every entry comes out once, whole, and in the order of its producer.
func TestManyProducers(t *testing.T) {
	each(t, spool.Config{Bytes: 2 << 20}, func(t *testing.T, q spool.Queue) {
		const producers, entries = 8, 5000
		var wg sync.WaitGroup
		room := make(chan struct{}, producers)
		for p := range producers {
			wg.Go(func() { produce(q, p, entries, room) })
		}
		var seen [producers]int
		seqs := make(map[uint64]bool)
		for got := 0; got < producers*entries; {
			drain(t, q, func(it spool.Item) {
				p, i, pad := parseProduced(it.Line)
				if i != seen[p] || pad != i%300 || it.Subject != fmt.Sprintf("s%d", i%5) || seqs[it.Seq] {
					t.Fatalf("producer %d: entry %d (%d bytes) after %d, number %d", p, i, len(it.Line), seen[p], it.Seq)
				}
				seqs[it.Seq] = true
				seen[p]++
				got++
			})
			for range producers {
				select {
				case room <- struct{}{}:
				default:
				}
			}
		}
		wg.Wait()
		if s := q.Stats(); s.Acked != producers*entries || s.Waiting != 0 || s.Reserved != producers*entries {
			t.Errorf("%+v", s)
		}
	})
}

// produce puts lines "P I xxx…" and waits for room where the queue is full.
func produce(q spool.Appender, p, entries int, room <-chan struct{}) {
	pad := bytes.Repeat([]byte{byte('a' + p)}, 300)
	for i := 0; i < entries; {
		line := fmt.Appendf(nil, "%d %d %s\n", p, i, pad[:i%300])
		f, err := q.Reserve(fmt.Sprintf("s%d", i%5), entry.Error, false, len(line)+i%40)
		if err != nil {
			<-room
			continue
		}
		i++
		f.Commit(copy(f.Line, line))
	}
}

func parseProduced(line []byte) (p, i, pad int) {
	parts := strings.SplitN(strings.TrimSuffix(string(line), "\n"), " ", 3)
	p, _ = strconv.Atoi(parts[0])
	i, _ = strconv.Atoi(parts[1])
	if strings.Trim(parts[2], string(rune('a'+p))) != "" {
		return p, -1, -1
	}
	return p, i, len(parts[2])
}

func TestReserveDoesNotAllocate(t *testing.T) {
	each(t, spool.Config{Bytes: 64 << 20}, func(t *testing.T, q spool.Queue) {
		line := bytes.Repeat([]byte("x"), 200)
		n := testing.AllocsPerRun(2000, func() {
			f, err := q.Reserve("dlog.in.checkout.info.place-order.reserve", entry.Info, false, 300)
			if err != nil {
				t.Fatal(err)
			}
			f.Commit(copy(f.Line, line))
		})
		if n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}

// open makes a queue with files in a directory of the test.
func open(t *testing.T, cfg spool.Config, noMap bool) spool.Queue {
	t.Helper()
	cfg.Dir, cfg.NoMap = t.TempDir(), noMap
	q, err := spool.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// TestFsync logs from several goroutines with a sync for each commit.
func TestFsync(t *testing.T) {
	for _, noMap := range []bool{false, true} {
		q := open(t, spool.Config{Fsync: true}, noMap)
		var wg sync.WaitGroup
		for p := range 4 {
			wg.Go(func() { produce(q, p, 20, nil) })
		}
		wg.Wait()
		n := 0
		drain(t, q, func(spool.Item) { n++ })
		if s := q.Stats(); n != 80 || s.Unsaved != 0 || !strings.Contains(q.Where(), "power loss") {
			t.Errorf("%d entries, %+v, %s", n, s, q.Where())
		}
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSaysWhyNot(t *testing.T) {
	f := func(make func(dir string) string, want string) {
		t.Helper()
		dir := make(t.TempDir())
		q, err := spool.Open(spool.Config{Dir: dir})
		if err == nil {
			q.Close()
			t.Errorf("%s: opened", dir)
			return
		}
		if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q, want one line with %q", err, want)
		}
	}
	f(func(dir string) string {
		if err := os.Symlink(dir, dir+"/link"); err != nil {
			return dir + "\x00"
		}
		return dir + "/link"
	}, "")
	f(func(dir string) string { _ = os.WriteFile(dir+"/file", nil, 0o600); return dir + "/file" }, "not a directory")
	f(func(dir string) string { _ = os.WriteFile(dir+"/file", nil, 0o600); return dir + "/file/below" }, "not a directory")
	if runtime.GOOS != "windows" {
		f(func(dir string) string { _ = os.Chmod(dir, 0o777); return dir }, "not sticky")
	}
	q, err := spool.OpenOrMemory(spool.Config{Dir: "/dev/null/spool"})
	if err == nil || !strings.HasPrefix(q.Where(), "memory") {
		t.Errorf("%v, %s", err, q.Where())
	}
}
