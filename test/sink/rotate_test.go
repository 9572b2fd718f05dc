package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// TestFileKilled: a sink that rotates every few KB under load is killed at random moments, while somebody moves its file away or
// not. All files together hold what the server acked, each line once, in the order in which it was said. Afterwards
// all but the last are compressed. DLOG_FILE_ROUNDS makes it longer.
func TestFileKilled(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	if n, err := strconv.Atoi(os.Getenv("DLOG_FILE_ROUNDS")); err == nil {
		rounds = n
	}
	for what, meddle := range map[string]bool{"alone": false, "moved away": true} {
		t.Run(what, func(t *testing.T) { fileKilled(t, rounds, meddle) })
	}
}

func fileKilled(t *testing.T, rounds int, meddle bool) {
	b := newBed(t, "payments")
	s := b.source("payments")
	config := filepath.Join(b.dir, "payments.toml")
	if err := os.WriteFile(config, []byte(b.config("payments")+"rotate_size = \"16KiB\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		tick := time.NewTicker(2 * time.Millisecond) // as fast as the disk syncs: more entries would only make larger batches
		defer tick.Stop()
		for ctx.Err() == nil {
			s.say(2, 1+rand.IntN(10))
			<-tick.C
		}
	})
	files := &fileSet{t: t, path: b.file("payments")}
	for round := range rounds {
		child := b.process(config)
		plain, packed := files.count()
		before := plain + packed
		eventually(t, "the child rotates", func() bool { plain, packed := files.count(); return plain+packed > before+2 })
		if meddle {
			files.move(round)
			if rand.IntN(2) == 0 {
				_ = child.Process.Signal(syscall.SIGHUP)
			}
		}
		pause, stop := context.WithTimeout(t.Context(), time.Duration(rand.IntN(150))*time.Millisecond)
		<-pause.Done() // the moment of a kill is random
		stop()
		kill(child)
	}
	cancel()
	load.Wait()
	child := b.process(config)
	eventually(t, "all stored", func() bool { return files.lines() >= len(s.said) })
	eventually(t, "all compressed", func() bool { plain, _ := files.count(); return plain == 0 })
	if err := child.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err != nil {
		t.Error(err)
	}
	_, packed := files.count()
	t.Logf("%d entries in %d rounds, %d compressed files, %d moved away", len(s.said), rounds, packed, files.moved)
	files.want(len(s.said))
}

// fileSet is all that a file sink has written, in order: each file is one that the sink rotated, that the test moved away, or the last.
type fileSet struct {
	t     *testing.T
	path  string
	moved int
}

func (f *fileSet) move(round int) {
	f.t.Helper()
	err := os.Rename(f.path, fmt.Sprintf("%s.moved-%06d", f.path, round))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is being rotated
		f.t.Fatal(err)
	}
	if err == nil {
		f.moved++
	}
}

// names lists the files, without the plain form where both stand there.
func (f *fileSet) names() []string {
	stem := strings.TrimSuffix(f.path, ".ndjson")
	var out []string
	for _, pattern := range []string{stem + "-*.ndjson", stem + "-*.ndjson.zst", f.path, f.path + ".moved-*"} {
		found, _ := filepath.Glob(pattern)
		out = append(out, found...)
	}
	return slices.DeleteFunc(out, func(name string) bool {
		return slices.Contains(out, name+".zst")
	})
}

func (f *fileSet) count() (plain, packed int) {
	all, _ := filepath.Glob(strings.TrimSuffix(f.path, ".ndjson") + "-*")
	for _, name := range all {
		if strings.HasSuffix(name, ".zst") {
			packed++
		} else {
			plain++
		}
	}
	return plain, packed
}

// lines counts roughly: files move while it does.
func (f *fileSet) lines() int {
	n := 0
	for _, name := range f.names() {
		data, err := readAny(name)
		if err == nil {
			n += bytes.Count(data, []byte("\n"))
		}
	}
	return n
}

func readAny(name string) ([]byte, error) {
	data, err := os.ReadFile(name)
	if err != nil || !strings.HasSuffix(name, ".zst") {
		return data, err
	}
	dec, err := zstd.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	return io.ReadAll(dec)
}

// want fails unless the files hold the numbers 1 to n, once each, ascending in each file, and no file's range reaches into another's.
func (f *fileSet) want(n int) {
	f.t.Helper()
	type part struct {
		name    string
		numbers []int
	}
	var parts []part
	for _, name := range f.names() {
		data, err := readAny(name)
		if err != nil {
			f.t.Fatalf("%s: %v", name, err)
		}
		p := part{name: filepath.Base(name)}
		for raw := range bytes.Lines(data) {
			var l struct{ N int }
			if err := json.Unmarshal(raw, &l); err != nil || !bytes.HasSuffix(raw, []byte("\n")) {
				f.t.Fatalf("%s holds %q: %v", name, raw, err)
			}
			p.numbers = append(p.numbers, l.N)
		}
		if len(p.numbers) > 0 {
			parts = append(parts, p)
		}
	}
	slices.SortFunc(parts, func(a, b part) int { return a.numbers[0] - b.numbers[0] })
	next := 1
	for _, p := range parts {
		for _, got := range p.numbers {
			if got != next {
				f.t.Fatalf("%s holds number %d where %d is next", p.name, got, next)
			}
			next++
		}
	}
	if next != n+1 {
		f.t.Errorf("%d lines, want %d", next-1, n)
	}
}

// TestHangup: SIGHUP makes a group open files anew that were moved away.
func TestHangup(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signals here")
	}
	b := newBed(t, "payments")
	s := b.source("payments")
	g := b.run(b.config("payments"), kinds)
	defer g.ReopenOnHangup()()
	s.say(1, 10)
	path := b.file("payments")
	eventually(t, "10 lines", func() bool { return count(path) == 10 })
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "reopened", func() bool { return strings.Contains(g.log.String(), "SIGHUP: files are reopened") })
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the new file: %v", err)
	}
	s.say(1, 10)
	eventually(t, "10 more lines", func() bool { return count(path) == 10 })
	if n := count(path + ".1"); n != 10 {
		t.Errorf("%d lines in the file that was moved away", n)
	}
}
