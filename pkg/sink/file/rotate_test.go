package file

import (
	"bytes"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/sink"
)

// hand is a sink whose goroutines do not run: a test looks and tidies itself, and turns the clock.
type hand struct {
	*file
	t     *testing.T
	clock time.Time
	log   bytes.Buffer
}

func byHand(t *testing.T, path string, change func(*Config)) *hand {
	t.Helper()
	h := &hand{t: t, clock: time.Date(2026, 11, 22, 16, 2, 11, 0, time.UTC)}
	h.file = at(t, path, &h.log)
	if change != nil {
		change(&h.cfg)
	}
	if err := h.cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	h.now = func() time.Time { return h.clock }
	h.reopen()
	t.Cleanup(func() { _ = h.release() })
	return h
}

func (h *hand) reopen() {
	h.t.Helper()
	if err := errors.Join(h.release(), h.open(h.t.Context())); err != nil {
		h.t.Fatal(err)
	}
}

func (h *hand) say(lines ...string) {
	h.t.Helper()
	for _, line := range lines {
		if err := commit(h.t, h.file, line); err != nil {
			h.t.Fatal(err)
		}
	}
}

// files lists the directory without FILE, FILE.state and FILE.lock.
func (h *hand) files() string {
	h.t.Helper()
	entries, err := os.ReadDir(h.names.dir)
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		if rest, ok := strings.CutPrefix(e.Name(), filepath.Base(h.path)); !ok || rest != "" && rest != ".state" && rest != ".lock" {
			out = append(out, e.Name())
		}
	}
	return strings.Join(out, " ")
}

func (h *hand) want(files, content string) {
	h.t.Helper()
	if got := h.files(); got != files {
		h.t.Errorf("the directory holds %q, want %q", got, files)
	}
	if got := read(h.t, h.path); got != content {
		h.t.Errorf("the file holds %q, want %q", got, content)
	}
}

func (h *hand) said(words string, times int) {
	h.t.Helper()
	if n := strings.Count(h.log.String(), words); n != times {
		h.t.Errorf("%q was said %d times, want %d: %s", words, n, times, &h.log)
	}
}

// counted fails unless the metrics say so.
func (h *hand) counted(want string) {
	h.t.Helper()
	reg := prometheus.NewRegistry()
	m := h.meter
	reg.MustRegister(m.bytes, m.rotations, m.compressions, m.removed, m.moves, m.cuts, m.errors)
	if got := exposed(reg); !strings.Contains(got, "dlog_sink_file_"+want+"\n") {
		h.t.Errorf("the metrics lack %q:\n%s", want, got)
	}
}

func exposed(reg *prometheus.Registry) string {
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	return w.Body.String()
}

func TestRotateBySize(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a.ndjson"), func(c *Config) { c.RotateSize = 20; c.Compress = "none" })
	h.say(`{"a":1}`, `{"a":2}`)
	h.want("", "{\"a\":1}\n{\"a\":2}\n")
	h.say(`{"a":3}`)
	h.want("a-00000001-20261122T160211Z.ndjson", "{\"a\":3}\n")
	h.say(`{"a":"` + strings.Repeat("x", 50) + `"}`) // larger than a file may be: alone in one
	h.reopen()
	h.say(`{"a":4}`)
	h.want("a-00000001-20261122T160211Z.ndjson a-00000002-20261122T160211Z.ndjson a-00000003-20261122T160211Z.ndjson", "{\"a\":4}\n")
	h.counted("rotations_total 3")
}

func TestRotateByTime(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a"), func(c *Config) { c.RotateEvery = config.Duration(time.Hour); c.RotateSize = 0 })
	h.clock = h.clock.Add(5 * time.Hour)
	h.look()
	h.want("", "") // nothing to rotate
	h.say("{}")
	h.clock = h.clock.Add(57*time.Minute + 48*time.Second)
	h.look()
	h.want("", "{}\n")
	h.clock = h.clock.Add(time.Second) // 22:00:00
	h.reopen()
	h.look()
	h.want("a-00000001-20261122T220000Z", "")
	h.say("{}")
	h.clock = h.clock.Add(-2 * time.Hour) // the clock is set back
	h.look()
	h.want("a-00000001-20261122T220000Z", "{}\n")
	h.clock = h.clock.Add(3 * time.Hour)
	h.say("[]")
	h.want("a-00000001-20261122T220000Z a-00000002-20261122T230000Z", "[]\n")
}

// TestRotationInTheWay: what cannot be rotated is written to on, and said once.
func TestRotationInTheWay(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a"), func(c *Config) { c.RotateSize = 3 })
	if err := os.MkdirAll(h.path+".next/full", 0o700); err != nil {
		t.Fatal(err)
	}
	h.say("{}", "{}")
	h.clock = h.clock.Add(time.Minute)
	h.say("{}")
	h.want("a.next", "{}\n{}\n{}\n")
	h.said("rotate: remove", 1)
	if err := os.RemoveAll(h.path + ".next"); err != nil {
		t.Fatal(err)
	}
	h.say("{}")
	h.want("", "{}\n{}\n{}\n{}\n") // it is not tried at each commit
	h.clock = h.clock.Add(time.Minute)
	h.say("[]")
	h.want("a-00000001-20261122T160411Z", "[]\n")
	h.said("can rotate again", 1)
}

// TestMovedAway: the file is followed by a commit, by a look, and when somebody asks; where that cannot be done the old one is kept.
func TestMovedAway(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a"), nil)
	move := func(to string) {
		t.Helper()
		if err := os.Rename(h.path, h.path+to); err != nil {
			t.Fatal(err)
		}
	}
	h.say("1")
	move(".1")
	h.say("2")
	move(".2")
	h.look()
	h.want("a.1 a.2", "")
	h.say("3")
	move(".3")
	if err := os.WriteFile(h.path, []byte("made by logrotate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Reopen(); err != nil {
		t.Fatal(err)
	}
	h.say("4")
	h.want("a.1 a.2 a.3", "made by logrotate\n4\n")
	move(".4")
	if err := os.Mkdir(h.path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := h.Reopen(); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("reopened a directory: %v", err)
	}
	h.say("5", "6")
	h.said("not a regular file", 1)
	if got := read(t, h.path+".4"); got != "made by logrotate\n4\n5\n6\n" {
		t.Errorf("the old file holds %q", got)
	}
	if err := os.Remove(h.path); err != nil {
		t.Fatal(err)
	}
	h.say("7")
	h.want("a.1 a.2 a.3 a.4", "7\n")
	h.said("can follow again", 1)
	for name, want := range map[string]string{".1": "1\n", ".2": "2\n", ".3": "3\n"} {
		if got := read(t, h.path+name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	h.counted("moves_total 4")
}

// TestCutWhileOpen: what copytruncate does is counted and said, and leaves neither a hole nor a half line.
func TestCutWhileOpen(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a"), nil)
	h.say(`{"a":1}`, `{"a":2}`)
	if err := os.Truncate(h.path, 0); err != nil {
		t.Fatal(err)
	}
	h.say(`{"a":3}`)
	h.want("", "{\"a\":3}\n")
	if err := os.Truncate(h.path, 4); err != nil {
		t.Fatal(err)
	}
	h.look()
	h.say(`{"a":4}`)
	h.want("", "{\"a\"\n{\"a\":4}\n")
	h.said("cut the file short", 2)
	h.counted("cuts_total 2")
	h.reopen()
	h.want("", "{\"a\"\n{\"a\":4}\n")
}

// cutter is somebody who cuts the file at the worst moment.
type cutter struct {
	osDisk
	before, after bool
}

func (c *cutter) write(f *os.File, b []byte) error {
	if filepath.Base(f.Name()) != "a" {
		return c.osDisk.write(f, b)
	}
	var errs []error
	if c.before {
		errs = append(errs, f.Truncate(0))
	}
	errs = append(errs, c.osDisk.write(f, b))
	if c.after {
		errs = append(errs, f.Truncate(0))
	}
	c.before, c.after = false, false
	return errors.Join(errs...)
}

func TestCutWhileWriting(t *testing.T) {
	h := byHand(t, filepath.Join(t.TempDir(), "a"), nil)
	h.say("1")
	h.disk = &cutter{before: true}
	h.say("2")
	h.want("", "2\n")
	h.disk = &cutter{after: true}
	if err := commit(t, h.file, "3"); err == nil || !strings.Contains(err.Error(), "somebody else changes") {
		t.Errorf("the lines are not there, the commit says %v", err)
	}
	h.reopen()
	h.say("3")
	h.want("", "3\n")
}

func TestLinkIsFollowed(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "disk"), 0o700), os.WriteFile(filepath.Join(dir, "disk", "b"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("disk", "b"), filepath.Join(dir, "a")); err != nil {
		t.Skip("no links here:", err)
	}
	h := byHand(t, filepath.Join(dir, "a"), func(c *Config) { c.RotateSize = 3; c.Compress = "none" })
	h.say("1", "2")
	h.want("b-00000001-20261122T160211Z", "2\n")
	if info, err := os.Lstat(filepath.Join(dir, "a")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v", err)
	}
}

// TestOlderState: what the version before left is gone on with.
func TestOlderState(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	old := `{"version":1,"length":4,"committed":{"seq":7}}`
	if err := errors.Join(os.WriteFile(path, []byte("{}1\nhalf"), 0o600), os.WriteFile(path+".state", []byte(old), 0o600)); err != nil {
		t.Fatal(err)
	}
	h := byHand(t, path, nil)
	if h.state.Committed.Seq != 7 {
		t.Errorf("the position is %v", h.state.Committed)
	}
	h.say("2")
	h.want("", "{}1\n2\n")
	if st, err := readState(path + stateSuffix); err != nil || st.Version != 2 || st.Tail == "" {
		t.Errorf("the state is %+v, %v", st, err)
	}
}

// TestGoroutines: they follow and compress by themselves, and end with Close.
func TestGoroutines(t *testing.T) {
	k := at(t, filepath.Join(t.TempDir(), "a"), nil)
	k.cfg.RotateSize = 3
	open(t, k)
	if err := errors.Join(commit(t, k, "1"), commit(t, k, "2")); err != nil {
		t.Fatal(err)
	}
	wait := func(what string, done func() bool) {
		t.Helper()
		end := time.Now().Add(time.Minute)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !done() {
			if <-tick.C; time.Now().After(end) {
				t.Fatalf("%s: not within a minute", what)
			}
		}
	}
	wait("compressed", func() bool {
		gens, _, err := k.names.list()
		return err == nil && len(gens) == 1 && gens[0].packed && !gens[0].plain
	})
	if err := os.Rename(k.path, k.path+".1"); err != nil {
		t.Fatal(err)
	}
	wait("followed", func() bool { _, err := os.Stat(k.path); return err == nil })
	if err := errors.Join(commit(t, k, "3"), k.Close()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, k.path+".1") + read(t, k.path); got != "2\n3\n" {
		t.Errorf("the files hold %q", got)
	}
}

func TestMetrics(t *testing.T) {
	all := prometheus.NewRegistry()
	for _, name := range []string{"one", "two"} {
		c := New().(*Config)
		c.Path = filepath.Join(t.TempDir(), "a")
		env := sink.Env{Log: zerolog.Nop(), Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"sink": name}, all)}
		k, err := c.Kind(env)
		if err != nil {
			t.Fatal(err)
		}
		open(t, k.(*file))
		if err := errors.Join(commit(t, k.(*file), "12345"), k.Close()); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Kind(env); err == nil {
			t.Error("metrics are registered twice")
		}
	}
	for _, want := range []string{`bytes_total{sink="one"} 6`, `bytes_total{sink="two"} 6`, `errors_total{during="rotate",sink="one"} 0`} {
		if got := exposed(all); !strings.Contains(got, "dlog_sink_file_"+want) {
			t.Errorf("the metrics lack %q:\n%s", want, got)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"version":2,"length":4,"tail":"00","file":"1.2.3","number":3,"committed":{"seq":7}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if st, err := parseState(b); err == nil && (st.Length < 0 || st.Version > stateVersion) {
			t.Errorf("%s is read as %+v", b, st)
		}
	})
}
