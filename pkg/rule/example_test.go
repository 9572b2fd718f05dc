package rule_test

import (
	"fmt"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

func Example() {
	var f rule.File
	err := config.Decode("router.toml", []byte(`
[[stream]]
name = "rest"
[[stream]]
name = "pager"
[default]
to = ["rest"]
[[rule]]
name  = "slow"
match = { service = "payments", duration_ms = ">1s" }
to    = ["pager"]
`), &f)
	if err != nil {
		fmt.Println(err)
		return
	}
	set, _ := rule.Compile(f) // Decode has asked for its faults already

	s, _ := subject.Parse("dlog.in.payments.info.place-order")
	plan := set.Plan(s)
	_, whole := plan.Whole()
	fmt.Println("decided by the subject alone:", whole)

	var d rule.Decision
	for _, line := range []string{`{"duration_ms":1200}`, `{"duration_ms":80}`} {
		if err := plan.Eval([]byte(line), &d); err != nil {
			fmt.Println(err)
		}
		fmt.Println("to", set.Streams[d.Streams[0]].Name)
	}
	x, _ := set.Explain(s, []byte(`{"duration_ms":80}`))
	fmt.Println(x.Steps[0])
	// Output:
	// decided by the subject alone: false
	// to pager
	// to rest
	// slow: duration_ms > 1s: saw 80
}
