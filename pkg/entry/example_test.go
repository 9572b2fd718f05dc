package entry_test

import (
	"fmt"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

func ExampleParse() {
	e, err := entry.Parse([]byte(`{"level":"warn","user":{"id":7},"time":1790000000,"message":"slow","dlog":{"svc":"shop","proc":"9f86d081884c7d65","seq":3}}`))
	id, _ := e.Field("user.id")
	fmt.Println(e.Level, e.Message, e.Time.Format("2006-01-02"), string(id.Raw), e.Meta.Svc, e.Meta.Seq, err)
	// Output: warn slow 2026-09-21 7 shop 3 <nil>
}

// A dlog key that lies makes an entry outside of any task.
func ExampleParse_lie() {
	e, err := entry.Parse([]byte(`{"message":"m","dlog":{"pos":"2..4"}}`))
	fmt.Println(e.Message, e.HasMeta, err)
	fmt.Println(e.MetaErr)
	// Output:
	// m false <nil>
	// read dlog.pos: parse position "2..4": a number must be 1 or more, without leading zeros, and fit in 64 bits
}

// Compile the keys once, then scan each line once.
func ExampleKeys_Scan() {
	keys := entry.CompileKeys([]string{"user.id", "duration_ms", "card"})
	slots := keys.NewSlots()
	err := keys.Scan([]byte(`{"user":{"id":"u-7"},"duration_ms":512.5}`), slots)
	ms, _ := slots[1].Number()
	fmt.Println(string(slots[0].Text(nil)), ms, slots[2].Present(), err)
	// Output: u-7 512.5 false <nil>
}

func ExampleAppendLine() {
	line, ok := entry.AppendLine(nil, []byte(`{"level":"info","message":"reserved"}`), entry.Meta{Svc: "checkout", Proc: "9f86d081884c7d65", Seq: 1})
	fmt.Println(string(line), ok)
	// Output: {"level":"info","message":"reserved","dlog":{"svc":"checkout","proc":"9f86d081884c7d65","seq":1}} true
}
