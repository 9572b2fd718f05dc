package store_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/dlog-fabric/dlog/pkg/store"
)

// A sink stores what it takes from a stream, and readers find it.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "store-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)

	w, err := store.OpenWriter(dir, store.Config{MaxAge: 30 * 24 * time.Hour, MaxBytes: 50 << 30})
	if err != nil {
		fmt.Println(err)
		return
	}
	at := time.Date(2026, 11, 22, 16, 2, 11, 0, time.UTC)
	batch := store.Batch{Position: []byte(`{"seq":2}`), Time: at, Entries: []store.Entry{
		{Subject: "dlog.in.shop.info.place-order", Seq: 1, Time: at, Line: []byte(`{"level":"info","message":"reserved","dlog":{"trace":"0193e1a2000070008000000000000001","path":"place-order","pos":"2"}}`)},
		{Subject: "dlog.in.shop.task.place-order", Seq: 2, Time: at, Line: []byte(`{"level":"error","error":"card declined","message":"place-order","dlog":{"trace":"0193e1a2000070008000000000000001","path":"place-order","pos":"3","event":"end","outcome":"failed","elapsed_ms":12.5}}`)},
	}}
	if err := w.Commit(ctx, batch); err != nil { // on the disk
		fmt.Println(err)
		return
	}
	defer w.Close()

	r, err := store.Open(dir) // while it is written to, in this or any other process
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	tasks, err := r.Tasks(ctx, store.TaskQuery{Counts: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, t := range tasks {
		fmt.Println(t.Path, t.Service, t.Outcome, t.Error, t.Elapsed, "ms,", t.Entries, "entries")
	}
	err = r.Read(ctx, store.Query{Words: []string{"reserved"}}, func(it store.Item) error {
		fmt.Println(it.Subject.Service(), string(it.Line))
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	for _, p := range r.Problems() { // what could not be read, if anything
		fmt.Println(p)
	}
	// Output:
	// place-order shop failed card declined 12.5 ms, 2 entries
	// shop {"level":"info","message":"reserved","dlog":{"trace":"0193e1a2000070008000000000000001","path":"place-order","pos":"2"}}
}
