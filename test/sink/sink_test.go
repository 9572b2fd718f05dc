package sink_test

import (
	"testing"
)

// TestCarries is the everyday case: what is said is stored, in order, and a restart goes on.
func TestCarries(t *testing.T) {
	b := newBed(t, "payments")
	s := b.source("payments")
	s.say(20, 10)
	g := b.run(b.config("payments"), kinds)
	eventually(t, "200 lines", func() bool { return count(b.file("payments")) == 200 })
	s.say(5, 3)
	eventually(t, "215 lines", func() bool { return count(b.file("payments")) == 215 })
	if err := g.Ready(); err != nil {
		t.Error(err)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	s.say(10, 1)
	b.run(b.config("payments"), kinds)
	eventually(t, "225 lines", func() bool { return count(b.file("payments")) >= 225 })
	s.once(b.file("payments"))
	for i, l := range stored(t, b.file("payments")) {
		if l.Dlog.Seq != uint64(i+1) {
			t.Fatalf("line %d holds number %d", i+1, l.Dlog.Seq)
		}
	}
}
