package file

import (
	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// index knows the identities that a file holds: a bit for each number, in groups. It is bounded by forgetting the groups that were
// longest untouched: groups live in two generations, and when the young one is full the old one is dropped.
type index struct{ young, old map[group]*bits }

// group is 512 consecutive numbers of one process.
type group struct {
	process task.Process
	high    uint64
}

type bits [8]uint64

// maxGroups is the size of one generation; a group costs about 120 bytes.
const maxGroups = 1 << 18

func newIndex() *index { return &index{young: make(map[group]*bits)} }

func split(id sink.Identity) (g group, word, bit uint64) {
	return group{id.Process, id.Seq >> 9}, id.Seq >> 6 & 7, id.Seq & 63
}

func (x *index) has(id sink.Identity) bool {
	g, word, bit := split(id)
	b := x.young[g]
	if b == nil {
		b = x.old[g]
	}
	return b != nil && b[word]>>bit&1 == 1
}

func (x *index) add(id sink.Identity) {
	g, word, bit := split(id)
	b := x.young[g]
	if b == nil {
		if len(x.young) >= maxGroups {
			x.young, x.old = make(map[group]*bits), x.young
		}
		if b = x.old[g]; b == nil {
			b = new(bits)
		}
		x.young[g] = b
	}
	b[word] |= 1 << bit
}
