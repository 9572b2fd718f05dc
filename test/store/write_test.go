package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/pkg/task"
	"github.com/dlog-fabric/dlog/test/gen"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func said(proc byte, n uint64) []byte {
	return fmt.Appendf(nil, `{"level":"info","message":"said","dlog":{"svc":"shop","proc":"%s","seq":%d}}`, task.Process{proc, 1}, n)
}

func entryAt(line []byte, seq uint64, at time.Time, again bool) store.Entry {
	return store.Entry{Line: line, Subject: "dlog.in.shop.info.-", Seq: seq, Time: at, Again: again}
}

// TestAgain: what may have been stored before is left out if it was, whatever day and block it stands in, and only then.
func TestAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	w := open(t, dir, store.Config{})
	stored := map[string]bool{}
	at, seq := noon, uint64(0)
	var want []string
	for range 120 {
		var batch []store.Entry
		again := rng.IntN(2) == 0
		for range 1 + rng.IntN(60) {
			seq++
			line := said(byte(1+rng.IntN(3)), uint64(rng.IntN(1500)))
			if !again && stored[string(line)] {
				continue // the stream says that it comes for the first time
			}
			if !stored[string(line)] {
				want = append(want, string(line))
			}
			stored[string(line)] = true
			batch = append(batch, entryAt(line, seq, at, again))
		}
		if len(batch) == 0 {
			continue
		}
		if err := commit(w, batch); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(10) == 0 {
			at = at.Add(9 * time.Hour)
		}
		if rng.IntN(10) == 0 {
			closed(t, w)
			w = open(t, dir, store.Config{})
		}
	}
	// A line without an identity is never a duplicate, nor one whose number is beyond all counting.
	plain, huge := []byte(`{"message":"x"}`), said(9, 1<<63)
	for range 2 {
		if err := commit(w, []store.Entry{entryAt(plain, seq, at, true), entryAt(huge, seq, at, true)}); err != nil {
			t.Fatal(err)
		}
		want = append(want, string(plain), string(huge))
	}
	closed(t, w)
	r := reader(t, dir)
	var have []string
	for _, g := range read(t, r, store.Query{}) {
		have = append(have, g.Line)
	}
	if !slices.Equal(have, want) {
		t.Errorf("the store holds %d entries, want %d", len(have), len(want))
	}
	verified(t, r)
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, store.Config{})
	if _, err := store.OpenWriter(dir, store.Config{}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a second writer: %v", err)
	}
	closed(t, w)
	closed(t, w)
	if err := commit(w, nil); !errors.Is(err, store.ErrClosed) {
		t.Errorf("commit after close: %v", err)
	}
	closed(t, open(t, dir, store.Config{}))
}

func TestPosition(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, store.Config{})
	if w.Position() != nil {
		t.Errorf("an empty store is at %s", w.Position())
	}
	steps := []struct {
		at  time.Time
		pos string
	}{{noon, "1"}, {noon.AddDate(0, 0, 3), "2"}, {noon.AddDate(0, 0, 1), "3"}, {time.Time{}, "4"}, {noon, "5"}}
	for _, s := range steps {
		if err := w.Commit(t.Context(), store.Batch{Position: []byte(s.pos), Time: s.at}); err != nil {
			t.Fatal(err)
		}
		closed(t, w)
		w = open(t, dir, store.Config{})
		if got := string(w.Position()); got != s.pos {
			t.Errorf("the store is at %s, want %s", got, s.pos)
		}
	}
	r := reader(t, dir)
	if p, err := r.Position(t.Context()); err != nil || string(p) != "5" {
		t.Errorf("a reader says %s, %v", p, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.Commit(ended, store.Batch{}); !errors.Is(err, context.Canceled) {
		t.Errorf("commit with an ended context: %v", err)
	}
	closed(t, w)
}

// TestRetention: whole files go, oldest first, and never the one that is written to.
func TestRetention(t *testing.T) {
	day := func(n int) time.Time { return noon.AddDate(0, 0, n) }
	fill := func(t *testing.T, cfg store.Config) []string {
		dir, now := t.TempDir(), day(0)
		cfg.Now = func() time.Time { return now }
		w := open(t, dir, cfg)
		entries := shop(gen.Config{Entries: 2000})
		for n := range 6 {
			now = day(n)
			for i := range entries {
				entries[i].Time = now
			}
			if err := commit(w, entries); err != nil {
				t.Fatal(err)
			}
		}
		closed(t, w)
		list, err := filepath.Glob(filepath.Join(dir, "*.db*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			list[i] = filepath.Base(list[i])
		}
		return list
	}
	f := func(cfg store.Config, want ...string) {
		t.Helper()
		if got := fill(t, cfg); !slices.Equal(got, want) {
			t.Errorf("%+v keeps %q, want %q", cfg, got, want)
		}
	}
	all := []string{"2026-11-22.db", "2026-11-23.db", "2026-11-24.db", "2026-11-25.db", "2026-11-26.db", "2026-11-27.db"}
	f(store.Config{}, all...)
	f(store.Config{MaxAge: 48 * time.Hour}, all[3:]...)
	f(store.Config{MaxBytes: 1}, all[5:]...)
}

// TestReadWhileWriting: readers in other handles see whole commits only, in order, while blocks are merged under them.
func TestReadWhileWriting(t *testing.T) {
	dir := t.TempDir()
	entries := shop(gen.Config{Entries: 4000, Rate: 0.1})
	w := open(t, dir, store.Config{})
	done := make(chan struct{})
	var readers sync.WaitGroup
	want := wanted(entries)
	for range 3 {
		readers.Go(func() {
			r, err := store.Open(dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			for last := 0; ; {
				var have []got
				if err := r.Read(ctx(), store.Query{}, keep(&have)); err != nil {
					t.Error(err)
				}
				if len(have) < last || !slices.Equal(have, want[:min(len(have), len(want))]) {
					t.Errorf("a reader sees %d entries that are not the first ones; before there were %d", len(have), last)
				}
				last = len(have)
				if p := r.Problems(); len(p) > 0 || t.Failed() {
					t.Errorf("problems: %v", p)
					return
				}
				select {
				case <-done:
					if last == len(entries) {
						return
					}
				default:
				}
			}
		})
	}
	defer readers.Wait()
	defer close(done)
	rng := rand.New(rand.NewPCG(3, 4))
	writeAll(t, w, entries, func() int { return 1 + rng.IntN(80) })
	closed(t, w)
}

// TestVersions: a newer file is refused by name, others are read; what is none of ours is said.
func TestVersions(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, []store.Entry{entryAt(said(1, 1), 1, noon, false)}, 1)
	write(t, dir, []store.Entry{entryAt(said(1, 2), 2, noon.AddDate(0, 0, 1), false)}, 1)
	newer := filepath.Join(dir, "2026-11-23.db")
	patch(t, newer, 60, []byte{0, 0, 0, 99}) // user_version, by the file format of SQLite
	_, err := store.OpenWriter(dir, store.Config{})
	if v, ok := errors.AsType[*store.VersionError](err); !ok || v.Has != 99 || !strings.Contains(err.Error(), "2026-11-23.db has version 99") {
		t.Errorf("open for writing: %v", err)
	}
	f := func(want string) {
		t.Helper()
		r, err := store.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got := read(t, r, store.Query{}); len(got) != 1 || got[0].Line != string(said(1, 1)) {
			t.Errorf("of the other day: %v", got)
		}
		if p := r.Problems(); len(p) != 1 || p[0].File != "2026-11-23.db" || !strings.Contains(p[0].String(), want) {
			t.Errorf("problems: %v, want %q", p, want)
		}
	}
	f("use a newer dlog")
	patch(t, newer, 68, []byte("none"))
	f("no file of dlog's store")
	if err := os.WriteFile(newer, []byte(strings.Repeat("not a database\n", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	f("no file of dlog's store")
	if err := os.WriteFile(newer, nil, 0o600); err != nil { // its maker died at once
		t.Fatal(err)
	}
	w := open(t, dir, store.Config{})
	if err := commit(w, []store.Entry{entryAt(said(1, 3), 3, noon.AddDate(0, 0, 1), false)}); err != nil {
		t.Fatal(err)
	}
	closed(t, w)
	if got := read(t, reader(t, dir), store.Query{}); len(got) != 2 {
		t.Errorf("after an empty file: %v", got)
	}
}

func patch(t *testing.T, path string, at int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, f)
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// TestFirstVersion: a file that version 1 wrote is read by this and every later version.
func TestFirstVersion(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile("testdata/v1/2026-11-22.db")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "2026-11-22.db"), b, 0o600); err != nil {
		t.Fatal(err)
	}
	want := shop(gen.Config{Entries: 200, Failures: 0.5})
	r := reader(t, dir)
	compare(t, "all", read(t, r, store.Query{}), wanted(want))
	id, _ := traceOf(want[100].Line)
	if found, err := r.FindTrace(t.Context(), id.String()); err != nil || found != id {
		t.Errorf("trace: %v, %v", found, err)
	}
	w := open(t, dir, store.Config{})
	if got := string(w.Position()); got != `{"seq":200}` {
		t.Errorf("it is at %s", got)
	}
	closed(t, w)
}

// TestMissing: a directory that is not there is an error for a reader, an empty one is an empty store.
func TestMissing(t *testing.T) {
	if _, err := store.Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	if got := read(t, reader(t, t.TempDir()), store.Query{}); got != nil {
		t.Errorf("an empty store holds %v", got)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.OpenWriter(filepath.Join(file, "x"), store.Config{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("open for writing: %v", err)
	}
}

// TestBackup: a copy taken while entries come holds all up to its position, and can be written to after it was copied back.
func TestBackup(t *testing.T) {
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "backup")
	entries := shop(gen.Config{Entries: 6000, Rate: 0.05})
	w := open(t, dir, store.Config{})
	writeAll(t, w, entries[:3000], func() int { return 100 })
	var writing sync.WaitGroup
	writing.Go(func() { writeAll(t, w, entries[3000:], func() int { return 100 }) })
	done, err := store.Backup(t.Context(), dir, to)
	if err != nil || len(done) == 0 {
		t.Fatalf("backup: %q, %v", done, err)
	}
	writing.Wait()
	closed(t, w)
	r := reader(t, to)
	have := read(t, r, store.Query{})
	pos, err := r.Position(t.Context())
	if err != nil || string(pos) != fmt.Sprintf(`{"seq":%d}`, len(have)) {
		t.Errorf("the copy is at %s and holds %d entries: %v", pos, len(have), err)
	}
	compare(t, "copy", have, wanted(entries[:len(have)]))
	verified(t, r)
	again := open(t, to, store.Config{})
	writeAll(t, again, entries[len(have):], func() int { return 100 })
	closed(t, again)
	compare(t, "copy, gone on with", read(t, r, store.Query{}), wanted(entries))
	if _, err := store.Backup(t.Context(), dir, dir); err == nil {
		t.Error("a store was backed up over itself")
	}
}

// TestNoRoom: a batch without room is refused and can be tried again.
func TestNoRoom(t *testing.T) {
	w := open(t, t.TempDir(), store.Config{MinFree: 1 << 61})
	defer closed(t, w)
	err := commit(w, []store.Entry{entryAt(said(1, 1), 1, noon, false)})
	full, ok := errors.AsType[*store.FullError](err)
	if !ok || full.Need != 1<<61 || full.Free <= 0 {
		t.Errorf("commit: %v", err)
	}
	if err := commit(w, nil); errors.Is(err, store.ErrClosed) {
		t.Error("a writer that had no room is not to be opened anew")
	}
}

// TestConflict: where the lock does not hold, as on some network file systems, the writer that was overtaken stores nothing.
func TestConflict(t *testing.T) {
	dir := t.TempDir()
	one := open(t, dir, store.Config{})
	if err := commit(one, []store.Entry{entryAt(said(1, 1), 1, noon, false)}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "lock")); err != nil {
		t.Skipf("a lock that is held cannot be taken away here: %v", err)
	}
	two := open(t, dir, store.Config{})
	if err := commit(two, []store.Entry{entryAt(said(1, 2), 2, noon, false)}); err != nil {
		t.Fatal(err)
	}
	if err := commit(one, []store.Entry{entryAt(said(1, 3), 2, noon, false)}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("commit of the one that was overtaken: %v", err)
	}
	closed(t, one)
	closed(t, two)
	if got := read(t, reader(t, dir), store.Query{}); len(got) != 2 || got[1].Line != string(said(1, 2)) {
		t.Errorf("the store holds %v", got)
	}
}
