package spool_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// The kill tests run this test binary again as a child, which logs from killGoroutines goroutines as fast as it can and is
// killed at a random moment. What was acknowledged is in a ledger outside of the spool.
const (
	killGoroutines = 4
	killRounds     = 10
	childEnv       = "DLOG_SPOOL_TEST_CHILD"
)

func TestMain(m *testing.M) {
	if role := os.Getenv(childEnv); role != "" {
		if err := child(role, os.Args[1], os.Args[2], os.Args[3] == "written"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// child logs until it is killed. Its ledger holds one count of acknowledged entries for each goroutine.
func child(role, dir, ledger string, noMap bool) error {
	cfg := spool.Config{Dir: dir, NoMap: noMap, Bytes: 64 << 20}
	if role == "send" {
		cfg.Bytes = 4 << 20 // segments are used again many times
	}
	q, err := spool.Open(cfg)
	if err != nil {
		return err
	}
	if err := q.SetBirth([]byte("born to " + role)); err != nil {
		return err
	}
	if _, err := q.Reserve("s", entry.Error, false, 1<<30); err == nil {
		return errors.New("an endless line was accepted")
	}
	said, err := os.OpenFile(ledger, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	failed := make(chan error)
	room := make(chan struct{}, killGoroutines)
	for g := range killGoroutines {
		go func() { failed <- say(q, said, g, room) }()
	}
	if role == "send" {
		go func() { failed <- send(q, ledger+".packs", room) }()
	}
	return <-failed
}

// say logs numbered entries and notes each that was acknowledged. It tells the parent of every 100th.
func say(q spool.Queue, ledger io.WriterAt, g int, room <-chan struct{}) error {
	pad := strings.Repeat("x", 200)
	var count [8]byte
	for i := 0; ; i++ {
		line := fmt.Appendf(nil, "%d %d %s\n", g, i, pad[:rand.IntN(200)])
		f, err := q.Reserve("s."+strconv.Itoa(rand.IntN(5)), entry.Warn, false, len(line)+rand.IntN(30))
		for err != nil {
			<-room
			f, err = q.Reserve("s.0", entry.Warn, false, len(line))
		}
		f.Commit(copy(f.Line, line))
		binary.LittleEndian.PutUint64(count[:], uint64(i+1))
		if _, err := ledger.WriteAt(count[:], int64(8*g)); err != nil {
			return err
		}
		if i%100 == 0 {
			if _, err := os.Stdout.Write([]byte{1}); err != nil {
				return err
			}
		}
	}
}

// killChild starts a child, lets it work for a random while, kills it, and returns the acknowledged entries of each goroutine.
func killChild(t *testing.T, role, dir, how string) (said []uint64, ledger string) {
	t.Helper()
	ledger = filepath.Join(t.TempDir(), "ledger")
	if err := os.WriteFile(ledger, make([]byte, 8*killGoroutines), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := childCommand(role, dir, ledger, how)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Each goroutine tells once before it is certain that there are entries; how many more are waited for is random.
	_, err = io.CopyN(io.Discard, out, int64(10+rand.IntN(400)))
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed: the error says so
	if err != nil {
		t.Fatalf("child ended early: %v", err)
	}
	b, err := os.ReadFile(ledger)
	if err != nil {
		t.Fatal(err)
	}
	for g := range killGoroutines {
		said = append(said, binary.LittleEndian.Uint64(b[8*g:]))
	}
	return said, ledger
}

func childCommand(role, dir, ledger, how string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], dir, ledger, how)
	cmd.Env = append(os.Environ(), childEnv+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// roll checks who came out of a spool.
type roll struct {
	seen [killGoroutines]map[uint64]int
	torn int
}

func newRoll() *roll {
	r := &roll{}
	for g := range r.seen {
		r.seen[g] = make(map[uint64]int)
	}
	return r
}

func (r *roll) add(lines []byte) {
	for line := range bytes.Lines(lines) {
		parts := strings.Split(strings.TrimSuffix(string(line), "\n"), " ")
		if len(parts) != 3 || line[len(line)-1] != '\n' || strings.Trim(parts[2], "x") != "" {
			r.torn++
			continue
		}
		g, _ := strconv.Atoi(parts[0])
		i, _ := strconv.ParseUint(parts[1], 10, 64)
		r.seen[g][i]++
	}
}

// check compares with what was acknowledged; it returns the number of entries.
func (r *roll) check(t *testing.T, said []uint64) (n int) {
	t.Helper()
	lost, twice, unsaid := 0, 0, 0
	for g, count := range said {
		for i := range count {
			if r.seen[g][i] == 0 {
				lost++
			}
		}
		for i, k := range r.seen[g] {
			if k > 1 {
				twice++
			}
			if i > count {
				unsaid++ // one more than acknowledged may have been on its way
			}
		}
		n += len(r.seen[g])
	}
	if lost+twice+unsaid+r.torn > 0 {
		t.Errorf("of %d entries %d lost, %d twice, %d never said, %d torn", n, lost, twice, unsaid, r.torn)
	}
	return n
}

// places are the directories that the kill tests use: the test's own, and one in memory where the system has it.
func places(t *testing.T, how string) map[string]string {
	p := map[string]string{how: t.TempDir()}
	if _, err := os.Stat("/dev/shm"); err == nil && runtime.GOOS == "linux" {
		dir, err := os.MkdirTemp("/dev/shm", "dlog-spool-test")
		if err == nil {
			t.Cleanup(func() { os.RemoveAll(dir) })
			p[how+" in memory"] = dir
		}
	}
	return p
}

func TestKilledProcessLosesNothing(t *testing.T) {
	for _, how := range []string{"mapped", "written"} {
		for name, dir := range places(t, how) {
			t.Run(name, func(t *testing.T) {
				total := 0
				for range killRounds {
					said, _ := killChild(t, "say", dir, how)
					r := newRoll()
					a := adoptOne(t, dir)
					drain(t, a, func(it spool.Item) { r.add(it.Line) })
					total += r.check(t, said)
					if got := fmt.Sprint(a.Refused()); string(a.Birth()) != "born to say" || got != "[{error false size 1}]" {
						t.Errorf("birth %q, refused %s", a.Birth(), got)
					}
					mustClose(t, a)
				}
				if left := processes(t, dir); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
				t.Logf("%d kills, %d entries", killRounds, total)
			})
		}
	}
}

// send packs and "publishes" to a file beside the ledger: each pack is a line "fixed NUMBER CRC LENGTH", its bytes, and some time
// later "acked NUMBER". Packs are acked late and out of order, so that some are always un-acked.
func send(q spool.Queue, path string, room chan<- struct{}) error {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	number := uint64(0)
	waiting := []uint64{}
	for {
		items := map[string][]spool.Item{}
		for range 50 + rand.IntN(200) {
			if it, ok := q.Next(); ok {
				items[it.Subject] = append(items[it.Subject], it)
			}
		}
		for _, run := range items {
			number++
			p := pack(number, run...)
			if err := q.Fix(p); err != nil {
				return err
			}
			data, err := q.Bytes(p, nil)
			if err != nil {
				return err
			}
			record := append(fmt.Appendf(nil, "fixed %d %d %d\n", p.Number, p.CRC, len(data)), data...)
			if _, err := out.Write(record); err != nil {
				return err
			}
			waiting = append(waiting, number)
		}
		rand.Shuffle(len(waiting), func(i, j int) { waiting[i], waiting[j] = waiting[j], waiting[i] })
		for len(waiting) > 10 {
			n := waiting[0]
			waiting = waiting[1:]
			q.Acked(n)
			if _, err := fmt.Fprintf(out, "acked %d\n", n); err != nil {
				return err
			}
		}
		select {
		case room <- struct{}{}:
		default:
		}
	}
}

// published is what a killed child's sender wrote.
type published struct {
	packs map[uint64][]byte
	crcs  map[uint64]uint32
	acked map[uint64]bool
}

func readPublished(t *testing.T, path string) published {
	t.Helper()
	p := published{packs: map[uint64][]byte{}, crcs: map[uint64]uint32{}, acked: map[uint64]bool{}}
	f, err := os.Open(path)
	if err != nil {
		return p // killed before the first
	}
	defer f.Close()
	in := bufio.NewReader(f)
	for {
		head, err := in.ReadString('\n')
		if err != nil {
			return p // the last record may be half
		}
		var number uint64
		var crc uint32
		var n int
		if _, err := fmt.Sscanf(head, "acked %d\n", &number); err == nil {
			p.acked[number] = true
			continue
		}
		if _, err := fmt.Sscanf(head, "fixed %d %d %d\n", &number, &crc, &n); err != nil {
			return p
		}
		data := make([]byte, n)
		if _, err := io.ReadFull(in, data); err != nil {
			return p
		}
		p.packs[number], p.crcs[number] = data, crc
	}
}

// TestKilledSenderResendsTheSamePacks: whatever was published before the kill and not acked comes again with the same number,
// checksum and bytes; what was acked does not come again; and with both nothing is missing.
func TestKilledSenderResendsTheSamePacks(t *testing.T) {
	for _, how := range []string{"mapped", "written"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			total, again := 0, 0
			for range killRounds {
				said, ledger := killChild(t, "send", dir, how)
				was := readPublished(t, ledger+".packs")
				a := adoptOne(t, dir)
				r := newRoll()
				inDoubt := 0 // acked in the spool, and killed before the note of it
				pending := map[uint64]bool{}
				for _, p := range a.Pending() {
					pending[p.Number] = true
					again++
					data, err := a.Bytes(p, nil)
					if err != nil {
						t.Fatal(err)
					}
					if old, ok := was.packs[p.Number]; ok && (!bytes.Equal(old, data) || was.crcs[p.Number] != p.CRC) {
						t.Errorf("pack %d has other bytes than when it was published", p.Number)
					}
					if was.acked[p.Number] {
						t.Errorf("pack %d came again after its ack", p.Number)
					}
					r.add(data)
				}
				for number, data := range was.packs {
					if pending[number] {
						continue
					}
					if !was.acked[number] {
						inDoubt++
					}
					r.add(data)
				}
				if inDoubt > 1 {
					t.Errorf("%d published packs are neither acked nor pending", inDoubt)
				}
				for _, p := range a.Pending() {
					a.Acked(p.Number)
				}
				drain(t, a, func(it spool.Item) { r.add(it.Line) })
				total += r.check(t, said)
				mustClose(t, a)
			}
			t.Logf("%d kills, %d entries, %d packs pending", killRounds, total, again)
		})
	}
}
