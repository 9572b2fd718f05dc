package store

import (
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/test/gen"
)

// damagedCopy copies a store and lets spoil change one of its files.
func damagedCopy(t *testing.T, dir, name string, spoil func(b []byte) []byte) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	b, err := fs.ReadFile(os.DirFS(dir), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, name), spoil(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestDamage: whatever becomes of one file, what is read is what was written, the file is named where something is lost, and the other day is
// whole.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	entries := shop(gen.Config{Entries: 8000, Rate: 0.15, Start: noon})
	w := open(t, dir, store.Config{})
	writeAll(t, w, entries, func() int { return 700 })
	closed(t, w)
	all := wanted(entries)
	known, subjects := map[got]bool{}, map[string]string{}
	for _, g := range all {
		known[g], subjects[g.Line] = true, g.Subject
	}
	name := "2026-11-22.db"
	other := 0
	for _, g := range all {
		if store.Day(g.Time)+".db" != name {
			other++
		}
	}
	if other == 0 || other == len(all) {
		t.Fatal("there is one day only")
	}
	rng := rand.New(rand.NewPCG(11, 12))
	silent := 0
	f := func(what string, mayLose bool, spoil func(b []byte) []byte) {
		t.Helper()
		r, err := store.Open(damagedCopy(t, dir, name, spoil))
		if err != nil {
			t.Fatal(err)
		}
		defer closed(t, r)
		others := 0
		have := read(t, r, store.Query{})
		for _, g := range have {
			if g.Subject == "" { // lost, which is said
				g.Subject = subjects[g.Line]
			}
			if !known[g] {
				t.Fatalf("%s: an entry that nobody wrote: %+v", what, g)
			}
			if store.Day(g.Time)+".db" != name {
				others++
			}
		}
		if others != other {
			t.Errorf("%s: of the other days %d entries are read, want %d", what, others, other)
		}
		problems := r.Problems()
		for _, p := range problems {
			if p.File != name || !strings.Contains(p.String(), name) {
				t.Errorf("%s: problem %v names another file", what, p)
			}
		}
		if len(have) < len(all) && len(problems) == 0 {
			if silent++; !mayLose {
				t.Errorf("%s: %d of %d entries are read, and nothing is said", what, len(have), len(all))
			}
		}
		if mayLose {
			return
		}
		if len(have) < other+(len(all)-other)/4 {
			t.Errorf("%s: only %d of %d entries are saved; %v", what, len(have), len(all), problems)
		}
	}
	f("cut at three quarters", false, func(b []byte) []byte { return b[:len(b)*3/4] })
	f("cut in a page", false, func(b []byte) []byte { return b[:len(b)-1234] })
	f("cut to nothing much", true, func(b []byte) []byte { return b[:100] })
	for range 100 {
		// A bit of a list of blocks may hide a block without a word: Verify finds that.
		f("a flipped bit", true, func(b []byte) []byte {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			return b
		})
	}
	if silent > 4 {
		t.Errorf("of 100 flipped bits %d lost something without a word", silent)
	}
	for range 12 {
		f("a page of nonsense", true, func(b []byte) []byte {
			at := rng.IntN(len(b)/4096) * 4096
			for i := range 4096 {
				b[at+i] = byte(rng.Uint32())
			}
			return b
		})
	}
}

// TestVerify finds a flipped bit wherever it changes something.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, shop(gen.Config{Entries: 5000}), 700)
	rng := rand.New(rand.NewPCG(13, 14))
	found := 0
	const flips = 40
	for range flips {
		r, err := store.Open(damagedCopy(t, dir, "2026-11-22.db", func(b []byte) []byte {
			b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			return b
		}))
		if err != nil {
			t.Fatal(err)
		}
		checked, err := r.Verify(t.Context())
		if err != nil || len(checked) != 1 {
			t.Fatalf("verify: %+v, %v", checked, err)
		}
		if len(checked[0].Problems) > 0 {
			found++
		}
		closed(t, r)
	}
	if found < flips*3/4 { // the rest hit what no row uses, or the counters
		t.Errorf("verify saw %d of %d flipped bits", found, flips)
	}
}
