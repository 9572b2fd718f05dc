package spool_test

import (
	"fmt"
	"os"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/spool"
)

// A logger's side, the sender's side, and what remains for an adopter when the sender did not come to it.
func Example() {
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	q, err := spool.Open(spool.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return
	}

	say := func(line string) {
		f, err := q.Reserve("dlog.in.shop.info.-", entry.Info, false, len(line))
		if err != nil {
			return // counted: q.Stats().Refused
		}
		f.Commit(copy(f.Line, line))
	}
	say("{\"message\":\"one\"}\n")
	say("{\"message\":\"two\"}\n")

	it, _ := q.Next()
	p := spool.Pack{Number: 1, Subject: it.Subject, First: it.At, Last: it.At, Count: 1, CRC: spool.Checksum(0, it.Line)}
	if err := q.Fix(p); err != nil {
		fmt.Println(err)
	}
	data, _ := q.Bytes(p, nil)
	fmt.Printf("published: %s", data)
	q.Acked(p.Number)
	if err := q.Close(); err != nil { // with an entry un-acked, as after a death
		fmt.Println(err)
	}

	dead, err := spool.Adopt(dir)
	if err != nil {
		fmt.Println(err)
	}
	for _, a := range dead {
		it, _ := a.Next()
		fmt.Printf("adopted: %s", it.Line)
		if err := a.Close(); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// published: {"message":"one"}
	// adopted: {"message":"two"}
}

func ExampleNewMemory() {
	q := spool.NewMemory(spool.Config{Bytes: 1 << 20})
	defer q.Close()
	line := "a line\n"
	f, _ := q.Reserve("dlog.in.shop.warn.-", entry.Warn, false, len(line)+100)
	f.Commit(copy(f.Line, line))
	it, _ := q.Next()
	fmt.Printf("%d %s %s", it.Seq, it.Level, it.Line)
	// Output: 1 warn a line
}

func ExamplePlace() {
	env := map[string]string{"DLOG_SPOOL": "memory"}
	site := spool.Place(func(name string) string { return env[name] })
	fmt.Printf("%q: %s\n", site.Dir, site.Text)
	// Output: "": un-sent entries are lost with the process
}
