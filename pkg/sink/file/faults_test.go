package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// breaker is a disk on which the process dies, or a call fails, at a given one of the calls that change something.
type breaker struct {
	osDisk
	at   int   // counts down
	torn bool  // a write is half done before
	fail error // nil: the process dies, nothing works any more

	mu    sync.Mutex
	trace []string
}

var errDied = errors.New("the process is dead")

func (b *breaker) before(op, path string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trace = append(b.trace, op+" "+filepath.Base(path))
	b.at--
	switch {
	case b.at == 0 && b.fail != nil:
		return b.fail
	case b.at <= 0 && b.fail == nil:
		return errDied
	}
	return nil
}

func (b *breaker) died() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at <= 0
}

func (b *breaker) open(path string, flag int, mode fs.FileMode) (*os.File, error) {
	if err := b.before("open", path); err != nil {
		return nil, err
	}
	return b.osDisk.open(path, flag, mode)
}

func (b *breaker) write(f *os.File, data []byte) error {
	if err := b.before("write", f.Name()); err != nil {
		if b.torn && b.at == 0 {
			_ = b.osDisk.write(f, data[:(len(data)+1)/2])
		}
		return err
	}
	return b.osDisk.write(f, data)
}

func (b *breaker) sync(f *os.File) error {
	if err := b.before("sync", f.Name()); err != nil {
		return err
	}
	return b.osDisk.sync(f)
}

func (b *breaker) truncate(f *os.File, size int64) error {
	if err := b.before("truncate", f.Name()); err != nil {
		return err
	}
	return b.osDisk.truncate(f, size)
}

func (b *breaker) rename(from, to string) error {
	if err := b.before("rename", from+" to "+filepath.Base(to)); err != nil {
		return err
	}
	return b.osDisk.rename(from, to)
}

func (b *breaker) remove(path string) error {
	if err := b.before("remove", path); err != nil {
		return err
	}
	return b.osDisk.remove(path)
}

func (b *breaker) syncDir(dir string) error {
	if err := b.before("sync", "directory"); err != nil {
		return err
	}
	return b.osDisk.syncDir(dir)
}

// story is what happens to a file: lines, and others who meddle. A part of it that has happened does not happen again.
type story struct {
	t      *testing.T
	dir    string
	path   string
	lines  int
	events map[int]func(s *story, k *file) // before line n is committed
	proc   task.Process
}

func newStory(t *testing.T, dir string, events map[int]func(*story, *file)) *story {
	return &story{t: t, dir: dir, path: filepath.Join(dir, "a.ndjson"), lines: 14, proc: task.Process{1}, events: events}
}

// kind is the sink that keeps its files small; its clock moves by a second a look.
func (s *story) kind(d disk) *file {
	k := at(s.t, s.path, nil)
	k.cfg.RotateSize, k.disk = 300, d
	clock := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	k.now = func() time.Time { clock = clock.Add(time.Second); return clock }
	return k
}

func (s *story) line(n int) []byte {
	return fmt.Appendf(nil, `{"n":%d,"message":"%s","dlog":{"proc":"%s","seq":%d}}`, n, strings.Repeat("x", 20+n), s.proc, n)
}

// tell goes on with the story where the destination says it stands, until its end, the process's death, or too many failures.
func (s *story) tell(k *file, d *breaker) {
	defer func() { _ = k.release() }()
	for tries := 0; tries < 5; tries++ {
		err := s.session(k)
		if err == nil || (d != nil && d.fail == nil && d.died()) {
			return
		}
		if d == nil || d.fail == nil || !errors.Is(err, d.fail) && !errors.Is(err, errAfter) {
			s.t.Fatalf("a sound disk: %v", err)
		}
		_ = k.release()
	}
	s.t.Fatal("one failure has spoiled the sink")
}

// errAfter is a failure that an earlier one has left behind.
var errAfter = errors.New("after a failure")

func (s *story) session(k *file) error {
	if err := k.open(s.t.Context()); err != nil {
		return err
	}
	k.tidy(s.t.Context())
	for n := int(k.state.Committed.Seq) + 1; n <= s.lines; n++ {
		if event := s.events[n]; event != nil {
			delete(s.events, n)
			event(s, k)
		}
		if err := s.commit(k, n); err != nil {
			if k.seen == nil {
				return errors.Join(err, errAfter)
			}
			return err
		}
		k.tidy(s.t.Context())
	}
	return nil
}

func (s *story) commit(k *file, n int) error {
	e := sink.Entry{Line: s.line(n), Seq: uint64(n), ID: sink.Identity{Process: s.proc, Seq: uint64(n)}}
	from := k.state.Committed
	to := sink.Committed{Seq: uint64(n), Time: time.Unix(int64(n), 0).UTC()}
	return k.Commit(s.t.Context(), sink.Batch{From: from, To: to, Entries: []sink.Entry{e}})
}

// stored reads all files: the rotated ones in their order, FILE, and those that others moved away.
func (s *story) stored() []int {
	gens, _, err := namesOf(s.path).list()
	if err != nil {
		s.t.Fatal(err)
	}
	var parts [][]byte
	for _, g := range gens {
		parts = append(parts, s.form(g))
	}
	parts = append(parts, []byte(read(s.t, s.path)))
	moved, _ := filepath.Glob(filepath.Join(s.dir, "moved-*"))
	for _, path := range moved {
		parts = append(parts, []byte(read(s.t, path)))
	}
	var out []int
	for _, part := range parts {
		for line := range bytes.Lines(part) {
			var l struct{ N int }
			if err := json.Unmarshal(line, &l); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
				out = append(out, -1) // a half line
				continue
			}
			out = append(out, l.N)
		}
	}
	if len(moved) > 0 {
		slices.Sort(out)
	}
	return out
}

// form reads a rotated file. Where it has two forms they must be the same.
func (s *story) form(g generation) []byte {
	var forms [][]byte
	if g.plain {
		forms = append(forms, []byte(read(s.t, g.path)))
	}
	if g.packed {
		f, err := os.Open(g.path + packSuffix)
		if err != nil {
			s.t.Fatal(err)
		}
		defer f.Close()
		dec, err := unpack(f)
		if err != nil {
			s.t.Fatal(err)
		}
		defer dec.Close()
		data, err := io.ReadAll(dec)
		if err != nil {
			s.t.Fatalf("a half file under the name %s: %v", f.Name(), err)
		}
		forms = append(forms, data)
	}
	if len(forms) == 2 && !bytes.Equal(forms[0], forms[1]) {
		s.t.Fatalf("the two forms of %s differ", g.path)
	}
	return forms[0]
}

func (s *story) want() {
	s.t.Helper()
	got := s.stored()
	for i := range s.lines {
		if i >= len(got) || got[i] != i+1 {
			s.t.Fatalf("the files hold %v", got)
		}
	}
	if len(got) != s.lines {
		s.t.Fatalf("the files hold %v", got)
	}
}

// meddling is a logrotate that moves the file away, once while it is full and once when it has just been begun.
func meddling() map[int]func(*story, *file) {
	move := func(to string) func(*story, *file) {
		return func(s *story, _ *file) {
			if err := os.Rename(s.path, filepath.Join(s.dir, to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				s.t.Fatal(err)
			}
		}
	}
	return map[int]func(*story, *file){4: move("moved-1"), 5: move("moved-2"), 9: func(_ *story, k *file) { k.look() }}
}

// fast is a directory whose syncs cost nothing, where there is one: what a test counts are calls.
func fast(t *testing.T) string {
	if dir, err := os.MkdirTemp("/dev/shm", "dlog-file"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	return t.TempDir()
}

// everyCall tells the story once for each call that changes something, and breaks that call; a write is also broken in its middle.
func everyCall(t *testing.T, events func() map[int]func(*story, *file), fail error, after func(*story)) {
	t.Helper()
	root := fast(t)
	for n := 1; ; n++ {
		d := oneCall(t, root, events, &breaker{at: n, fail: fail}, after)
		if !d.died() {
			t.Logf("%d calls", n-1)
			return
		}
		if strings.HasPrefix(d.trace[n-1], "write ") {
			oneCall(t, root, events, &breaker{at: n, fail: fail, torn: true}, after)
		}
	}
}

func oneCall(t *testing.T, root string, events func() map[int]func(*story, *file), d *breaker, after func(*story)) *breaker {
	t.Helper()
	n := d.at
	dir, err := os.MkdirTemp(root, "call")
	if err != nil {
		t.Fatal(err)
	}
	s := newStory(t, dir, events())
	defer func() {
		if t.Failed() {
			t.Logf("broken at call %d: %s", n, d.trace[max(0, n-3):min(n, len(d.trace))])
		}
	}()
	s.tell(s.kind(d), d)
	after(s)
	s.want()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestKilledBetweenAnyTwoCalls: whatever the process was doing, commit, rotation, compression, following a file that was moved: its
// successor ends up with each line once, in order.
func TestKilledBetweenAnyTwoCalls(t *testing.T) {
	again := func(s *story) {
		s.stored() // no half file has a final name, and no two forms of a file differ
		s.tell(s.kind(osDisk{}), nil)
	}
	t.Run("alone", func(t *testing.T) {
		everyCall(t, func() map[int]func(*story, *file) { return nil }, nil, again)
	})
	t.Run("moved while it lives", func(t *testing.T) { everyCall(t, meddling, nil, again) })
	t.Run("moved while it is dead", func(t *testing.T) {
		if idAt(".") == "" {
			t.Skip("the system does not tell files by their identity")
		}
		everyCall(t, meddling, nil, func(s *story) {
			if err := os.Rename(s.path, filepath.Join(s.dir, "moved-3")); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
			again(s)
		})
	})
}

// TestAnyCallFails: one failure of any call costs a commit at most; the sink opens the file anew and ends up with each line once.
func TestAnyCallFails(t *testing.T) {
	for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
		everyCall(t, meddling, err, func(*story) {})
	}
}

// TestRotationCalls shows the order of the calls, on which it depends what a power failure leaves: nothing is said to be done in a
// state before it is on the disk.
func TestRotationCalls(t *testing.T) {
	s, d := newStory(t, t.TempDir(), nil), &breaker{at: 1 << 30}
	k := s.kind(d)
	if err := k.open(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer k.release()
	for n := 1; k.state.Number == 0; n++ {
		d.trace = nil
		if err := s.commit(k, n); err != nil {
			t.Fatal(err)
		}
	}
	state := "open a.ndjson.state.new\nwrite a.ndjson.state.new\nsync a.ndjson.state.new\nrename a.ndjson.state.new to a.ndjson.state\nsync directory"
	gens, _, err := k.names.list()
	if err != nil || len(gens) != 1 {
		t.Fatalf("%v, %v", gens, err)
	}
	name := filepath.Base(gens[0].path)
	want := "remove a.ndjson.next\nopen a.ndjson.next\nsync a.ndjson.next\nrename a.ndjson to " + name +
		"\nrename a.ndjson.next to a.ndjson\nsync directory\n" + state + "\nwrite a.ndjson.next\nsync a.ndjson.next\n" + state
	if got := strings.Join(d.trace, "\n"); got != want {
		t.Errorf("a rotation is\n%s\nwant\n%s", got, want)
	}
	d.trace = nil
	k.tidy(t.Context())
	want = strings.ReplaceAll("open NAME.zst.tmp\nwrite NAME.zst.tmp\nsync NAME.zst.tmp\nrename NAME.zst.tmp to NAME.zst\nsync directory\nremove NAME\nsync directory", "NAME", name)
	if got := strings.Join(d.trace, "\n"); got != want {
		t.Errorf("a compression is\n%s\nwant\n%s", got, want)
	}
}
