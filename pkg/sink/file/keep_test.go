package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/task"
)

func TestCompress(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a.log"), func(c *Config) { c.RotateSize = 10 })
	h.say(`{"a":1}`, `{"a":2}`, `{"a":3}`)
	if err := os.WriteFile(filepath.Join(h.names.dir, "a-00000001-20261122T160211Z.log.zst.tmp"), []byte("left behind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.names.dir, "a-00000002-20261122T160211Z.log.zst"), []byte("not the same"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.tidy(t.Context())
	h.want("a-00000001-20261122T160211Z.log.zst a-00000002-20261122T160211Z.log.zst", "{\"a\":3}\n")
	s := story{t: t, path: h.path}
	gens, _, err := h.names.list()
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range gens {
		if got, want := string(s.form(g)), fmt.Sprintf("{\"a\":%d}\n", i+1); got != want {
			t.Errorf("%s holds %q, want %q", g.path, got, want)
		}
	}
}

func TestKeep(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		h := byHand(t, filepath.Join(t.TempDir(), "a"), func(c *Config) { c.RotateSize = 10; c.Compress = "none"; change(c) })
		for n := range 6 {
			h.say(fmt.Sprintf(`{"a":%d}`, n))
			h.clock = h.clock.Add(24 * time.Hour)
		}
		if err := os.WriteFile(filepath.Join(h.names.dir, "a-1-20261101T000000Z"), nil, 0o600); err != nil { // not ours
			t.Fatal(err)
		}
		h.tidy(t.Context())
		var numbers []string
		gens, _, err := h.names.list()
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range gens {
			numbers = append(numbers, fmt.Sprint(g.number))
		}
		if got := strings.Join(numbers, " "); got != want || !strings.Contains(h.files(), "a-1-20261101T000000Z") {
			t.Errorf("kept %q of %q, want %q", got, h.files(), want)
		}
	}
	f(func(*Config) {}, "1 2 3 4 5")
	f(func(c *Config) { c.KeepFiles = 2 }, "4 5")
	f(func(c *Config) { c.KeepBytes = 8*3 + 7 }, "4 5") // FILE has 8 bytes too
	f(func(c *Config) { c.KeepBytes = 10 }, "")
	f(func(c *Config) { c.KeepAge = config.Duration(72 * time.Hour) }, "3 4 5")
	f(func(c *Config) { c.KeepAge, c.KeepFiles = config.Duration(72*time.Hour), 1 }, "5")
}

// TestAgainOverRotatedFiles: what is looked up after a start lies in the last bytes of all files, compressed or not.
func TestAgainOverRotatedFiles(t *testing.T) {
	p := task.NewProcess()
	line := func(n int) string { return fmt.Sprintf(`{"n":"%04d","dlog":{"proc":"%s","seq":%d}}`, n, p, n) }
	size := len(line(1)) + 1
	h := byHand(t, filepath.Join(t.TempDir(), "a"), func(c *Config) {
		c.RotateSize = config.Size(10 * size)
		c.AgainWindow = config.Size(25*size + size/2)
	})
	for n := 1; n <= 45; n++ { // 4 files of 10, and 5 lines
		h.say(line(n))
		if n == 35 {
			h.tidy(t.Context())
		}
	}
	if got := h.files(); !strings.Contains(got, ".zst a-00000004") || strings.HasSuffix(got, ".zst") {
		t.Fatalf("want both forms: %s", got)
	}
	h.seen = nil
	h.reopen()
	for n := 1; n <= 45; n++ {
		if got := h.seen.has(sink.Identity{Process: p, Seq: uint64(n)}); got != (n > 20) {
			t.Errorf("line %d known: %v", n, got)
		}
	}
	if err := os.WriteFile(filepath.Join(h.names.dir, "a-00000003-20261122T160211Z.zst"), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.seen = nil
	h.reopen()
	h.said("cannot be read", 1)
}

func TestModes(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a"), func(c *Config) { c.RotateSize = 3 })
	if err := os.Chmod(h.path, 0o604); err != nil { // somebody may read it, by decision of the operator
		t.Fatal(err)
	}
	h.say("1", "2")
	h.tidy(t.Context())
	for _, path := range []string{h.path, filepath.Join(h.names.dir, h.files())} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o604 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestNames(t *testing.T) {
	n := namesOf("/var/log/a.ndjson")
	f := func(base string, ok, packed bool, number uint64) {
		t.Helper()
		g, p, is := n.parse(base)
		if is != ok || is && (p != packed || g.number != number) {
			t.Errorf("%s: %+v, packed %v, ours %v", base, g, p, is)
		}
	}
	f("a-00000042-20261122T160211Z.ndjson", true, false, 42)
	f("a-00000042-20261122T160211Z.ndjson.zst", true, true, 42)
	f("a-1234567890-20261122T160211Z.ndjson", true, false, 1234567890)
	f("a.ndjson", false, false, 0)
	f("a-42-20261122T160211Z.ndjson", false, false, 0)
	f("a-00000042-20261322T160211Z.ndjson", false, false, 0)
	f("a-00000042-20261122T160211Z.ndjson.gz", false, false, 0)
	f("a-+0000042-20261122T160211Z.ndjson", false, false, 0)
	f("b-00000042-20261122T160211Z.ndjson", false, false, 0)
	f("a-000000000042-20261122T160211Z.ndjson", false, false, 0)
}

func FuzzNames(f *testing.F) {
	f.Add("a-00000042-20261122T160211Z.ndjson.zst")
	f.Add("a--.ndjson")
	n := namesOf("a.ndjson")
	f.Fuzz(func(t *testing.T, base string) {
		g, packed, ok := n.parse(base)
		if !ok {
			return
		}
		name := n.name(g.number, g.at)
		if packed {
			name += packSuffix
		}
		if name != base {
			t.Errorf("%q is read as %q", base, name)
		}
	})
}
