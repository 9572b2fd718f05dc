//go:build unix

package client

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// roll is what the sink's file holds, read as it grows. It knows JSON and the application's texts, and nothing of dlog but where an entry says its process, number and event.
type roll struct {
	w    *world
	f    *os.File
	in   *bufio.Reader
	part []byte

	seen    map[string][]uint8 // by goroutine of a run: how often each number was found
	torn    int
	lines   int
	refused int // death entries that tell of refusals
	deaths  int
	ids     map[string]map[uint64]bool // numbers by process
	twice   int                        // lines with a process and number that were there before
	buried  int                        // deaths that were told again, under the same identity: the adopter died, too, in that moment

	doubtful []string
}

func (w *world) newRoll() *roll {
	w.t.Helper()
	await(time.Minute, func() bool { _, err := os.Stat(w.file); return err == nil })
	f, err := os.Open(w.file)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { f.Close() })
	return &roll{w: w, f: f, in: bufio.NewReaderSize(f, 1<<20), seen: map[string][]uint8{}, ids: map[string]map[uint64]bool{}}
}

// read takes in what was written since.
func (r *roll) read() {
	for {
		b, err := r.in.ReadBytes('\n')
		r.part = append(r.part, b...)
		switch {
		case err == nil:
			r.line(r.part)
			r.part = r.part[:0]
		case errors.Is(err, io.EOF):
			return
		default:
			r.w.t.Fatal(err)
		}
	}
}

func (r *roll) line(line []byte) {
	r.lines++
	var e struct {
		ID      *string
		Text    *string
		EndID   *string `json:"end_id"`
		EndText *string `json:"end_text"`
		Dlog    struct {
			Proc    string
			Seq     uint64
			Event   string
			Refused map[string]uint64
		}
	}
	if err := json.Unmarshal(line, &e); err != nil {
		r.tear(line)
		return
	}
	r.identity(line, e.Dlog.Event, e.Dlog.Proc, e.Dlog.Seq)
	if e.Dlog.Event == "death" {
		r.deaths++
	}
	if len(e.Dlog.Refused) > 0 {
		r.refused++
	}
	switch {
	case e.EndID != nil && e.EndText != nil:
		r.entry(line, *e.EndID, *e.EndText)
	case e.ID != nil && e.Text != nil:
		r.entry(line, *e.ID, *e.Text)
	case e.Dlog.Event == "":
		r.tear(line)
	}
}

func (r *roll) identity(line []byte, event, proc string, seq uint64) {
	if proc == "" {
		return
	}
	seen := r.ids[proc]
	if seen == nil {
		seen = map[uint64]bool{}
		r.ids[proc] = seen
	}
	switch {
	case seen[seq] && event == "death":
		r.buried++
	case seen[seq]:
		r.twice++
		r.doubt(line)
	}
	seen[seq] = true
}

func (r *roll) tear(line []byte) {
	r.torn++
	r.doubt(line)
}

// doubt keeps some of the lines that something is wrong with.
func (r *roll) doubt(line []byte) {
	if len(r.doubtful) < 5 {
		r.doubtful = append(r.doubtful, fmt.Sprintf("%.150s … %.300s", line, line[max(0, len(line)-300):]))
	}
}

func (r *roll) entry(line []byte, id, said string) {
	i := strings.LastIndexByte(id, ' ')
	n, err := strconv.Atoi(id[i+1:])
	if i < 0 || err != nil || n < 0 || n > 1<<30 || said != text(id[:i], n) {
		r.tear(line)
		return
	}
	counts := r.seen[id[:i]]
	for len(counts) <= n {
		counts = append(counts, 0)
	}
	counts[n] = min(counts[n]+1, 100)
	r.seen[id[:i]] = counts
}

// verdict compares with all ledgers.
type verdict struct {
	said, lost, twice, unsaid int
	first                     string // of what is lost
}

func (r *roll) verdict() (v verdict) {
	for _, run := range r.w.runs {
		for g := range goroutines {
			key := fmt.Sprint(run.name, " ", g)
			counts, said := r.seen[key], int(run.ledger.said[g].Load())
			v.said += said
			for n := range max(said, len(counts)) {
				c := 0
				if n < len(counts) {
					c = int(counts[n])
				}
				switch {
				case n < said && c == 0:
					if v.lost++; v.first == "" {
						v.first = fmt.Sprint(key, " ", n)
					}
				case c > 1:
					v.twice++
				case n > said && c > 0: // one beyond may have been on its way
					v.unsaid++
				}
			}
		}
	}
	return v
}

// complete waits until nothing is missing, as long as more comes, and says what is wrong then.
func (r *roll) complete() verdict {
	r.w.t.Helper()
	before, at := 0, time.Now()
	for {
		r.read()
		v := r.verdict()
		if r.lines > before {
			before, at = r.lines, time.Now()
		} else if v.lost == 0 || time.Since(at) > 30*time.Second {
			return v
		}
		pause(500 * time.Millisecond)
	}
}

// check fails the test where the sink's file and the ledgers differ.
func (r *roll) check() {
	t := r.w.t
	t.Helper()
	v := r.complete()
	if v.lost+v.twice+v.unsaid+r.twice+r.torn+r.refused > 0 {
		t.Errorf("of %d acknowledged entries %d are lost (the first is %s) and %d stored twice; %d identities twice, %d entries that were never said, %d torn, %d reports of refusals",
			v.said, v.lost, v.first, v.twice, r.twice, v.unsaid, r.torn, r.refused)
		for _, line := range r.doubtful {
			t.Logf("doubtful: %s", line)
		}
		t.Logf("router: %s\nsink: %s", r.w.router.stderr, r.w.sink.stderr)
		if *look {
			t.Logf("stands still for a look at nats://%s, %s", r.w.addr, r.w.dir)
			pause(time.Hour)
		}
	}
	t.Logf("%d entries acknowledged, %d lines in the sink's file, %d deaths told (%d of them again): %d lost, %d torn, %d stored twice",
		v.said, r.lines, r.deaths, r.buried, v.lost, r.torn, v.twice+r.twice)
}
