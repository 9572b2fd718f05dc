package task_test

import (
	"fmt"

	"github.com/dlog-fabric/dlog/pkg/task"
)

// Entries and sub-tasks share one counter, so positions tell what came before what.
func ExamplePosition() {
	outer := task.Position("")       // the outermost task
	start := outer.Child(1)          // its start entry
	inner := outer.Child(2)          // a task in it
	export := inner.Child(3)         // an entry of that one: a hand-over
	claimed := export.Claim("k7f3q") // the task that another process makes of it
	fmt.Println(start, inner, export, claimed, claimed.Child(1))
	fmt.Println(task.ComparePositions("2.10", "2.9"))
	// Output:
	// 1 2 2.3 2.3~k7f3q 2.3~k7f3q.1
	// 1
}

// A token travels in a header or in the environment.
func ExampleToken() {
	trace, _ := task.ParseTrace("017f22e279b07cc398c4dc0c0c07398f")
	token := task.Token{Trace: trace, Pos: "2.3", Path: "place-order/GET =2Fcards"}
	fmt.Println(token)
	fmt.Println(token.Traceparent())
	back, err := task.ParseToken(token.String())
	fmt.Println(back.Path, err)
	// Output:
	// 01-017f22e279b07cc398c4dc0c0c07398f-2.3-place-order/GET=20=2Fcards
	// 00-017f22e279b07cc398c4dc0c0c07398f-03fd9a72a6e87024-01
	// place-order/GET =2Fcards <nil>
}

// Eliot's ids are read and written; an attempt becomes a level of its own.
func ExampleEliotID() {
	trace, pos, _ := task.ParseEliotID("017f22e2-79b0-7cc3-98c4-dc0c0c07398f@/2/3")
	fmt.Println(pos)
	fmt.Println(task.EliotID(trace, pos.Claim("aaaab")))
	// Output:
	// 2.3
	// 017f22e2-79b0-7cc3-98c4-dc0c0c07398f@/2/3/4294967297
}

// A name may hold anything; a path keeps it readable.
func ExampleJoinPath() {
	path := task.JoinPath(task.JoinPath("", "place order"), "GET /cards")
	fmt.Println(path)
	fmt.Printf("%q\n", task.SplitPath(path))
	// Output:
	// place order/GET =2Fcards
	// ["place order" "GET /cards"]
}
