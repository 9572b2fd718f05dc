package spool

import (
	"fmt"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/entry"
)

// A process dies while it acks a pack: its frames are marked, some or all, and the journal still has it. The adopter acks that pack again, before or after it has
// read past it; a segment stays for as long as anything else in it is un-acked.
func TestDeathWhileAcking(t *testing.T) {
	for _, noMap := range []bool{false, true} {
		for _, marked := range []int{1, 5, 10} {
			for _, readFirst := range []bool{false, true} {
				t.Run(fmt.Sprintf("written %v, %d marked, read first %v", noMap, marked, readFirst), func(t *testing.T) {
					dir := t.TempDir()
					dieAcking(t, Config{Dir: dir, Bytes: 2 << 20, NoMap: noMap}, marked)
					all, err := Adopt(dir)
					if err != nil || len(all) != 1 {
						t.Fatalf("adopted %d: %v", len(all), err)
					}
					ackAround(t, all[0], readFirst)
				})
			}
		}
	}
}

// dieAcking leaves a spool with two fixed packs of 10 entries, some frames of the first marked as acked, and 30 entries in no pack. Large ones behind
// them fill the segment.
func dieAcking(t *testing.T, cfg Config, marked int) {
	t.Helper()
	q, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := q.(*chain)
	say := func(subject, line string) {
		f, err := q.Reserve(subject, entry.Warn, false, len(line))
		if err != nil {
			t.Fatal(err)
		}
		f.Commit(copy(f.Line, line))
	}
	for i := range 30 {
		for _, s := range []string{"half", "whole", "other"} {
			if s == "other" || i < 10 {
				say(s, fmt.Sprintf("%s %d\n", s, i))
			}
		}
	}
	for range 8 {
		say("large", strings.Repeat("x", 100<<10)+"\n")
	}
	packs := map[string]*Pack{}
	for it, ok := q.Next(); ok; it, ok = q.Next() {
		p := packs[it.Subject]
		if p == nil {
			p = &Pack{Subject: it.Subject, First: it.At}
			packs[it.Subject] = p
		}
		p.Count, p.Last, p.CRC = p.Count+1, it.At, Checksum(p.CRC, it.Line)
	}
	for i, s := range []string{"half", "whole"} {
		packs[s].Number = uint64(i + 1)
		if err := q.Fix(*packs[s]); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range c.packs[1].at[:marked] {
		_, off := at.split()
		c.store.ack(c.segment(at), off)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
}

// ackAround acks everything but the pack "whole", which must still be there then.
func ackAround(t *testing.T, a *Adopted, readFirst bool) {
	t.Helper()
	if n := len(a.Pending()); n != 2 {
		t.Fatalf("%d packs are pending", n)
	}
	if !readFirst {
		a.Acked(1)
	}
	var items []Item
	for it, ok := a.Next(); ok; it, ok = a.Next() {
		items = append(items, it)
	}
	if len(items) != 38 {
		t.Errorf("%d entries in no pack", len(items))
	}
	if readFirst {
		a.Acked(1)
	}
	for _, it := range items {
		p := Pack{Number: a.LastNumber() + 1, Subject: it.Subject, First: it.At, Last: it.At, Count: 1, CRC: Checksum(0, it.Line)}
		if err := a.Fix(p); err != nil {
			t.Fatal(err)
		}
		a.Acked(p.Number)
	}
	whole := a.Pending()
	if len(whole) != 1 {
		t.Fatalf("%d packs are pending in the end", len(whole))
	}
	if b, err := a.Bytes(whole[0], nil); err != nil || !strings.HasPrefix(string(b), "whole 0\nwhole 1\n") {
		t.Errorf("the pack that is left: %.20q, %v", b, err)
	}
	if a.Acked(2); !a.Drained() {
		t.Error("everything is acked, and it is not drained")
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
