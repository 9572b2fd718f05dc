package file

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/sinktest"
	"github.com/dlog-fabric/dlog/pkg/task"
)

func at(t *testing.T, path string, log *bytes.Buffer) *file {
	t.Helper()
	c := New().(*Config)
	c.Path = path
	env := sink.Env{Spec: sink.Spec{Name: "test"}}
	if log != nil {
		env.Log = zerolog.New(log)
	}
	k, err := c.Kind(env)
	if err != nil {
		t.Fatal(err)
	}
	return k.(*file)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func TestConformance(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Destination {
		path := filepath.Join(t.TempDir(), "deeper", "a.ndjson")
		return sinktest.Destination{
			Kind: func(t *testing.T) sink.Kind { return at(t, path, nil) },
			Lines: func(t *testing.T) []string {
				text := strings.TrimSuffix(read(t, path), "\n")
				if text == "" {
					return nil
				}
				return strings.Split(text, "\n")
			},
			Tear: func(t *testing.T) {
				f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteString("{\"message\":\"whole line\"}\n{\"message\":\"half a"); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path+".state.new", []byte(`{"vers`), 0o600); err != nil {
					t.Fatal(err)
				}
			},
		}
	})
}

// commit stores one line with the next sequence.
func commit(t *testing.T, k *file, line string) error {
	t.Helper()
	k.mu.Lock() // the file may be followed at any time
	from := k.state.Committed
	k.mu.Unlock()
	to := from
	to.Seq, to.Time = from.Seq+1, time.Unix(int64(from.Seq)+1, 0)
	return k.Commit(t.Context(), sink.Batch{From: from, To: to, Entries: []sink.Entry{{Line: []byte(line), Seq: to.Seq}}})
}

func open(t *testing.T, k *file) sink.Committed {
	t.Helper()
	c, err := k.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestForeignContent: what stood in the file before is kept, and a half line of it is ended.
func TestForeignContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, []byte("somebody's notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := at(t, path, nil)
	if c := open(t, k); c.Seq != 0 {
		t.Errorf("a file without a state holds %v", c)
	}
	if err := commit(t, k, "{}"); err != nil {
		t.Fatal(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "somebody's notes\n{}\n" {
		t.Errorf("the file holds %q", got)
	}
}

// TestCutByOthers: a file that was cut or moved away is gone on with, at the position in the stream that is known.
func TestCutByOthers(t *testing.T) {
	for what, spoil := range map[string]func(path string) error{
		"cut":   func(path string) error { return os.Truncate(path, 4) },
		"moved": func(path string) error { return os.Rename(path, path+".1") },
	} {
		t.Run(what, func(t *testing.T) {
			path, log := filepath.Join(t.TempDir(), "a"), new(bytes.Buffer)
			k := at(t, path, log)
			open(t, k)
			for range 3 {
				if err := commit(t, k, `{"a":1}`); err != nil {
					t.Fatal(err)
				}
			}
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			before := read(t, path)
			if c := open(t, k); c.Seq != 3 {
				t.Errorf("the sink goes on after %v, want 3", c)
			}
			if err := commit(t, k, `{"b":2}`); err != nil {
				t.Fatal(err)
			}
			if err := k.Close(); err != nil {
				t.Fatal(err)
			}
			if before != "" {
				before += "\n"
			}
			if got, want := read(t, path), before+"{\"b\":2}\n"; got != want {
				t.Errorf("the file holds %q, want %q", got, want)
			}
			if !strings.Contains(log.String(), "somebody") {
				t.Errorf("nothing was said about it: %s", log)
			}
		})
	}
}

// TestTroubles: each is one clear line, and nothing is changed.
func TestTroubles(t *testing.T) {
	dir := t.TempDir()
	f := func(name, want string, prepare func(path string) error) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := prepare(path); err != nil {
			t.Fatal(err)
		}
		k := at(t, path, nil)
		_, err := k.Open(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", name, err, want)
		}
		if k.f != nil || k.lock != nil {
			t.Errorf("%s: files stay open", name)
		}
	}
	f("damaged", "is damaged", func(p string) error { return os.WriteFile(p+".state", []byte("{"), 0o600) })
	f("negative", "is damaged", func(p string) error { return os.WriteFile(p+".state", []byte(`{"version":1,"length":-1}`), 0o600) })
	f("newer", "has version 3", func(p string) error { return os.WriteFile(p+".state", []byte(`{"version":3}`), 0o600) })
	f("directory", "open file", func(p string) error { return os.Mkdir(p, 0o700) })
	f("inuse", "in use", func(p string) error {
		k := at(t, p, nil)
		t.Cleanup(func() { _ = k.Close() })
		_, err := k.Open(t.Context())
		return err
	})
}

// TestForeignWriter: who else appends is noticed before lines are mixed with his.
func TestForeignWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	k := at(t, path, nil)
	open(t, k)
	if err := commit(t, k, "{}"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{}\nmine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := commit(t, k, "{}"); err == nil || !strings.Contains(err.Error(), "somebody else") {
		t.Errorf("commit into a file that grew: %v", err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFailedCommitIsUndone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	k := at(t, path, nil)
	open(t, k)
	if err := commit(t, k, `{"a":1}`); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".state.new", 0o700); err != nil { // the state cannot be written
		t.Fatal(err)
	}
	if err := commit(t, k, `{"b":2}`); err == nil {
		t.Fatal("a commit without a state succeeded")
	}
	if got := read(t, path); got != "{\"a\":1}\n" {
		t.Errorf("the file holds %q", got)
	}
	if err := commit(t, k, `{"b":2}`); err == nil {
		t.Error("the file was not opened anew after a failure, but took a commit")
	}
	if err := errors.Join(k.Close(), os.Remove(path+".state.new")); err != nil {
		t.Fatal(err)
	}
	open(t, k)
	if err := errors.Join(commit(t, k, `{"b":2}`), k.Close()); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "{\"a\":1}\n{\"b\":2}\n" {
		t.Errorf("the file holds %q", got)
	}
}

// TestWindow: only the end of the file is read.
func TestWindow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	k := at(t, path, nil)
	k.cfg.AgainWindow = 1000
	open(t, k)
	p := task.NewProcess()
	for i := range 100 {
		if err := commit(t, k, fmt.Sprintf(`{"dlog":{"proc":"%s","seq":%d}}`, p, i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	other := at(t, path, nil)
	other.cfg.AgainWindow = 1000
	open(t, other)
	defer other.Close()
	if other.seen.has(sink.Identity{Process: p, Seq: 1}) || !other.seen.has(sink.Identity{Process: p, Seq: 99}) {
		t.Error("the window is not the end of the file")
	}
}

func TestIndexForgets(t *testing.T) {
	x := newIndex()
	id := func(n int) sink.Identity { return sink.Identity{Process: task.Process{1}, Seq: uint64(n) << 9} }
	for n := range 2*maxGroups + 1 {
		x.add(id(n))
	}
	if x.has(id(0)) || !x.has(id(maxGroups+1)) || !x.has(id(2*maxGroups)) {
		t.Error("the oldest group is known, or a young one is not")
	}
	if len(x.young)+len(x.old) > 2*maxGroups {
		t.Errorf("%d groups", len(x.young)+len(x.old))
	}
}

func TestValidate(t *testing.T) {
	f := func(change func(*Config), want string) {
		t.Helper()
		c := New().(*Config)
		c.Path = "a"
		change(c)
		err := c.Validate()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("faults: %v, want one with %q", err, want)
		}
		if _, err := c.Kind(sink.Env{}); err == nil {
			t.Error("a kind was made of faulty settings")
		}
	}
	f(func(c *Config) { c.Path = "" }, "path: missing")
	f(func(c *Config) { c.BatchWait = -1 }, "batch_wait")
	f(func(c *Config) { c.RotateEvery = 1 }, "rotate_every")
	f(func(c *Config) { c.Compress = "gzip" }, `compress "gzip"`)
	f(func(c *Config) { c.KeepFiles = -1 }, "keep_files -1")
	f(func(c *Config) { c.KeepFiles, c.RotateSize = 1, 0 }, "set rotate_size or rotate_every")
	f(func(c *Config) { c.KeepBytes = 1000 }, "less than rotate_size 256MiB")
	f(func(c *Config) { c.Mode = "0400" }, "mode")
	f(func(c *Config) { c.Mode = "rw" }, "mode")
}
