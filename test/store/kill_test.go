package store

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/sink"
	sinkstore "github.com/dlog-fabric/dlog/pkg/sink/store"
	"github.com/dlog-fabric/dlog/pkg/store"
	"github.com/dlog-fabric/dlog/test/gen"
)

// The stream of these tests: entry i of the shop is message i+1. A writer that starts goes back some messages and hands them over again
// marked Again, as a runner does that lost its acks.
const (
	envWriter = "DLOG_TEST_STORE_WRITER" // directory: this process is the writer
	envStored = "DLOG_TEST_STORE_STORED" // the entries below this number may be stored already
	total     = 30_000
	maxBatch  = 2048
	epoch     = 1_000_000_000 // what is said of a position: epoch*1e9 + sequence, which only grows
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envWriter); dir != "" {
		if err := writeStream(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func stream() []gen.Entry {
	// Five days, so that midnight is met.
	g := gen.New(gen.Config{Entries: total, Rate: total / (5 * 86400.0)})
	out := make([]gen.Entry, 0, total)
	for e, ok := g.Next(); ok; e, ok = g.Next() {
		e.Line = append([]byte(nil), e.Line...)
		out = append(out, e)
	}
	return out
}

func newKind(dir string) (sink.Kind, error) {
	c := sinkstore.New().(*sinkstore.Config)
	c.Path, c.MinFree = dir, 0
	return c.Kind(sink.Env{Spec: sink.Spec{Name: "test"}})
}

// writeStream is the child: it says after each commit how far it is, and so the parent's ledger of what was acked.
func writeStream(dir string) error {
	ctx := context.Background()
	k, err := newKind(dir)
	if err != nil {
		return err
	}
	held, err := k.Open(ctx)
	if err != nil {
		return err
	}
	defer k.Close()
	entries := stream()
	rng := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	tell := func() { fmt.Println("acked", held.Epoch*epoch+held.Seq) }
	tell()
	// Some of what was stored comes once more, because the stream was rolled back: a new epoch begins.
	stored, err := strconv.Atoi(os.Getenv(envStored))
	if err != nil {
		return err
	}
	next := max(0, min(int(held.Seq), stored)-rng.IntN(2000))
	number := held.Epoch + 1
	for next < total {
		n := min(1+rng.IntN(1<<rng.IntN(13)), total-next, maxBatch)
		b := sink.Batch{From: held, To: held}
		for i := next; i < next+n; i++ {
			e := entries[i]
			b.Entries = append(b.Entries, sink.Entry{
				Line: e.Line, Subject: e.Subject, Seq: uint64(i + 1), Time: e.Time, ID: sink.Identity{Process: e.Proc, Seq: e.Seq}, Again: i < stored,
			})
		}
		b.To.Seq, b.To.Time, b.To.Part, b.To.Epoch = uint64(next+n), entries[next+n-1].Time, 0, number
		if err := k.Commit(ctx, b); err != nil {
			return err
		}
		held = b.To
		next += n
		tell()
	}
	fmt.Println("done")
	return nil
}

// TestKilled: however often the writer is killed, every entry that was acked is there, each once, and nothing is damaged.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	acked, furthest, kills := uint64(0), uint64(0), 0
	for done := false; !done; {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envWriter+"="+dir, fmt.Sprintf("%s=%d", envStored, furthest+maxBatch))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed some time after some commit: in the midst of another, mostly.
		after, first := 1+rng.IntN(12), true
		for lines := bufio.NewScanner(out); lines.Scan(); {
			word, number, _ := strings.Cut(lines.Text(), " ")
			if word == "done" {
				done = true
				continue
			}
			n, err := strconv.ParseUint(number, 10, 64)
			if err != nil {
				t.Fatalf("the writer says %q", lines.Text())
			}
			if first && n < acked {
				t.Errorf("the writer goes on after %d, acked is %d", n, acked)
			}
			first, acked, furthest = false, n, max(furthest, n%epoch)
			if after--; after == 0 && kills < 20 {
				pause := time.NewTimer(time.Duration(rng.IntN(15)) * time.Millisecond)
				<-pause.C
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
				kills++
			}
		}
		if err := cmd.Wait(); err != nil && said.Len() > 0 {
			t.Fatalf("the writer failed: %v\n%s", err, said.String())
		}
	}
	if kills < 10 || furthest != total {
		t.Errorf("%d kills, acked up to %d", kills, furthest)
	}
	ledger := map[string]int{}
	for _, e := range stream() {
		ledger[string(e.Line)+e.Subject]++
	}
	r, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	err = r.Read(t.Context(), store.Query{}, func(it store.Item) error {
		ledger[string(it.Line)+it.Text]--
		return nil
	})
	if err != nil || len(r.Problems()) > 0 {
		t.Fatalf("read: %v, %v", err, r.Problems())
	}
	lost, twice := 0, 0
	for _, n := range ledger {
		lost += max(0, n)
		twice += max(0, -n)
	}
	if lost > 0 || twice > 0 {
		t.Errorf("after %d kills %d entries are lost, %d too many", kills, lost, twice)
	}
	var counted int64
	if err := r.Counts(t.Context(), time.Time{}, time.Time{}, func(c store.Count) error { counted += c.Entries; return nil }); err != nil || counted != total {
		t.Errorf("the counters say %d entries: %v", counted, err)
	}
	checked, err := r.Verify(t.Context())
	if err != nil || len(checked) < 5 {
		t.Errorf("verify: %+v, %v", checked, err)
	}
	for _, c := range checked {
		for _, p := range c.Problems {
			t.Error(p)
		}
	}
	var c sink.Committed
	pos, err := r.Position(t.Context())
	if err != nil || json.Unmarshal(pos, &c) != nil || c.Seq != total {
		t.Errorf("the store is at %s, %v", pos, err)
	}
	t.Logf("%d kills, %d entries", kills, total)
}
