package tree_test

import (
	"fmt"
	"os"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/tree"
)

// Entries make trees whatever the order they come in; a number that nothing
// stands at is found.
func Example() {
	forest := tree.New()
	for _, line := range []string{
		`{"level":"error","error":"card declined","message":"charge","dlog":{"svc":"bank","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order/charge","pos":"2.3","proc":"00000000000000bb","seq":2,"event":"end","outcome":"failed","n":3}}`,
		`{"level":"debug","message":"charge","dlog":{"svc":"bank","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order/charge","pos":"2.1","proc":"00000000000000bb","seq":1,"event":"start"}}`,
		`{"level":"debug","message":"order","dlog":{"svc":"shop","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order","pos":"1","proc":"00000000000000aa","seq":1,"event":"start"}}`,
		`{"level":"error","error":"charge: card declined","message":"order","dlog":{"svc":"shop","trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","path":"order","pos":"3","proc":"00000000000000aa","seq":2,"event":"end","outcome":"failed","n":3}}`,
	} {
		e, err := entry.Parse([]byte(line))
		if err != nil {
			fmt.Println(err)
			continue
		}
		forest.Add(e)
	}
	for _, root := range forest.Roots() {
		root.Walk(func(t *tree.Task) bool {
			fmt.Println(strings.Repeat("  ", t.Depth())+t.Name, t.Service, t.Outcome)
			return true
		})
		fmt.Println("cause:", root.Cause().Path, root.Cause().Error)
		_ = tree.WriteGaps(os.Stdout, root)
	}
	// Output:
	// order shop failed
	//   charge bank failed
	// cause: order/charge card declined
	// {"trace":"0193a5e1c0007a1b8c2d3e4f5a6b7c8d","pos":"2.2","reason":"missing"}
}
