package subject_test

import (
	"fmt"

	"github.com/dlog-fabric/dlog/pkg/subject"
)

func ExampleIn() {
	fmt.Println(subject.In("dlog", "checkout", "info", "place-order/reserve"))
	fmt.Println(subject.In("dlog", "checkout", subject.TaskLevel, "order-48151623/GET =2Fcards"))
	fmt.Println(subject.In("dlog", "checkout", "warn", "")) // outside of any task
	// Output:
	// dlog.in.checkout.info.place-order.reserve
	// dlog.in.checkout.task.order-=.GET=20=2Fcards
	// dlog.in.checkout.warn.-
}

func ExampleParse() {
	s, err := subject.Parse("dlog.to.payments.check=2Eout.error.place-order.charge")
	fmt.Println(s.Stream, s.Service(), s.Level, s.Path(), err)
	// Output: payments check.out error place-order/charge <nil>
}

// Ids are folded in subjects, so there the path in the entry decides.
func ExamplePattern_Match() {
	pattern, _ := subject.ParsePattern("order-48151623/**")
	s, _ := subject.Parse("dlog.in.checkout.info.order-=.charge")
	fmt.Println(pattern.Subject(s))
	fmt.Println(pattern.Match(s, "order-48151623/charge"), pattern.Match(s, "order-4242/charge"))
	// Output:
	// maybe
	// true false
}
