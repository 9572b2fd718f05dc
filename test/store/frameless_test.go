package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/store"
)

// TestConditionInBlocksWithoutFrames: a block in which no task begins or ends is searched for fields like any other.
func TestConditionInBlocksWithoutFrames(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir, store.Config{})
	at := time.Date(2026, 11, 22, 16, 0, 0, 0, time.UTC)
	var entries []store.Entry
	const n = 5000
	for i := range n {
		line := fmt.Sprintf(`{"level":"info","i":%d,"message":"step"}`, i)
		entries = append(entries, store.Entry{Line: []byte(line), Subject: "dlog.in.a.info.work", Seq: uint64(i + 1), Time: at})
	}
	if err := commit(w, entries); err != nil {
		t.Fatal(err)
	}
	closed(t, w)
	r, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, r)
	f := func(where string, want int) {
		t.Helper()
		c, err := cond.ParseWhere([]string{where})
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		if err := r.Read(ctx(), store.Query{Where: c}, func(store.Item) error { got++; return nil }); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: %d entries, want %d", where, got, want)
		}
	}
	f("message=step", n)
	f("i>=0", n)
	f("i=4999", 1)
	f("i=n", 0)
}
