package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/sinktest"
	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/pkg/task"
)

func at(t *testing.T, dir string) *kind {
	t.Helper()
	c := New().(*Config)
	c.Path, c.MinFree = dir, 0
	k, err := c.Kind(sink.Env{Spec: sink.Spec{Name: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	return k.(*kind)
}

// lines returns what a store holds.
func lines(t *testing.T, dir string) []string {
	t.Helper()
	r, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var out []string
	err = r.Read(t.Context(), store.Query{}, func(it store.Item) error {
		out = append(out, string(it.Line))
		return nil
	})
	if err != nil || len(r.Problems()) > 0 {
		t.Fatalf("read: %v, %v", err, r.Problems())
	}
	return out
}

func TestConformance(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Destination {
		dir := filepath.Join(t.TempDir(), "deeper", "store")
		return sinktest.Destination{
			Kind:  func(t *testing.T) sink.Kind { return at(t, dir) },
			Lines: func(t *testing.T) []string { return lines(t, dir) },
		}
	})
}

var process = task.Process{1, 2, 3, 4, 5, 6, 7, 8}

func entryAt(seq uint64, index int, at time.Time) sink.Entry {
	line := fmt.Appendf(nil, `{"message":"m","dlog":{"proc":"%s","seq":%d}}`, process, seq*100+uint64(index))
	return sink.Entry{Line: line, Subject: "dlog.in.shop.info.-", Seq: seq, Time: at, Index: index, ID: sink.Identity{Process: process, Seq: seq*100 + uint64(index)}}
}

func open(t *testing.T, k *kind) sink.Committed {
	t.Helper()
	c, err := k.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMidnight: a batch over three days becomes three files; where a later part of it fails, what is held is the state after the earlier ones, and what comes
// again is not stored twice.
func TestMidnight(t *testing.T) {
	dir := t.TempDir()
	day := func(n int) time.Time { return time.Date(2026, 11, 20+n, 23, 59, 59, 0, time.UTC) }
	b := sink.Batch{To: sink.Committed{Seq: 9, Time: day(2), Whole: true}}
	b.Entries = []sink.Entry{entryAt(1, 0, day(0)), entryAt(1, 1, day(0)), entryAt(2, 0, day(1)), entryAt(9, 0, day(2))}
	k := at(t, dir)
	open(t, k)
	// A file of another's in the place of the second day makes that part fail.
	stranger := filepath.Join(dir, "2026-11-21.db")
	if err := os.WriteFile(stranger, []byte(strings.Repeat("none of ours ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := k.Commit(t.Context(), b); err == nil || !strings.Contains(err.Error(), "2026-11-21.db") {
		t.Fatalf("commit: %v", err)
	}
	if err := errors.Join(k.Close(), os.Remove(stranger)); err != nil {
		t.Fatal(err)
	}
	held := open(t, k)
	if want := (sink.Committed{Seq: 1, Time: day(0), Part: 2}); !held.Same(want) {
		t.Errorf("after a part the store holds %v, want %v", held, want)
	}
	b.From = held
	for i := range b.Entries {
		b.Entries[i].Again = true
	}
	if err := k.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if held := open(t, k); !held.Same(b.To) || !held.Whole {
		t.Errorf("the store holds %+v", held)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, e := range b.Entries {
		want = append(want, string(e.Line))
	}
	if got := lines(t, dir); !slices.Equal(got, want) {
		t.Errorf("the store holds %q, want %q", got, want)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) != 3 {
		t.Errorf("files %q, %v", files, err)
	}
}

// TestGapAtMidnight: the record of what is missing is a whole message.
func TestGapAtMidnight(t *testing.T) {
	e := entryAt(7, 0, time.Unix(1, 0))
	e.Gap = true
	if c := after(sink.Committed{Seq: 2, Part: 4, Epoch: 1}, e); c.Part != 0 || c.Seq != 7 || c.Epoch != 1 {
		t.Errorf("after a gap: %v", c)
	}
}

func TestTroubles(t *testing.T) {
	dir := t.TempDir()
	k := at(t, dir)
	open(t, k)
	if _, err := at(t, dir).Open(t.Context()); !errors.Is(err, sink.ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second writer: %v", err)
	}
	if _, err := k.Open(t.Context()); err == nil {
		t.Error("opened twice")
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	full := at(t, dir)
	full.cfg.MinFree = 1 << 61
	open(t, full)
	defer full.Close()
	err := full.Commit(t.Context(), sink.Batch{To: sink.Committed{Seq: 1}})
	if _, ok := errors.AsType[*store.FullError](err); !ok {
		t.Errorf("commit without room: %v", err)
	}
	if _, refused := errors.AsType[*sink.Refused](err); refused {
		t.Error("a full disk refuses entries for what they are")
	}
}

// TestWarnings are said once, with the store's name.
func TestWarnings(t *testing.T) {
	var log bytes.Buffer
	k := at(t, "here")
	k.log = zerolog.New(&log)
	for range 3 {
		k.warn(errors.New("trouble"))
	}
	if got := log.String(); strings.Count(got, "trouble") != 1 || !strings.Contains(got, "here") {
		t.Errorf("said: %s", got)
	}
}

func TestValidate(t *testing.T) {
	c := &Config{MaxAge: -1, MaxBytes: -1, MinFree: -1, BatchWait: -1}
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("faults: %v", err)
	}
	if _, err := c.Kind(sink.Env{}); err == nil {
		t.Error("a kind was made of faulty settings")
	}
	if got := New().(*Config).Destination(); got != "dlog-store" {
		t.Errorf("the destination is %q", got)
	}
}

// TestManual: the configuration in the manual is one.
func TestManual(t *testing.T) {
	b, err := os.ReadFile("../../../docs/store.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b), "```toml\n")
	text, _, _ = strings.Cut(text, "```")
	cfg, err := sink.Decode("store.md", []byte(text), map[string]sink.NewKind{"store": New})
	if err != nil || len(cfg.Sinks) != 1 {
		t.Fatalf("decode: %v", err)
	}
	c := cfg.Sinks[0].Settings.(*Config)
	if c.Path != "dlog-store" || c.MaxBytes != 50<<30 || time.Duration(c.MaxAge) != 30*24*time.Hour || c.MinFree != New().(*Config).MinFree {
		t.Errorf("settings: %+v", c)
	}
}
