package rule

import (
	"encoding/binary"
	"hash/maphash"
	"maps"
	"math"
	"slices"

	"github.com/dlog-fabric/dlog/pkg/cond"
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// index finds the candidates that an entry's fields leave open, so that of a
// thousand rules that each ask for one customer only one is asked. It may find
// too many, never too few: what it finds is asked in full.
type index struct {
	always []uint64 // candidates in no table, a bit for each
	tables []table
}

// table finds candidates by the value of one field. It is a hash table with
// open addressing; values are told apart by their hash alone.
type table struct {
	slot  int
	cells []cell // a power of two, at most half of them in use
}

type cell struct {
	hash       uint64
	candidates []int
}

// minIndexed is from how many candidates on a table is faster than to ask them.
const minIndexed = 4

var seed = maphash.MakeSeed()

func newIndex(candidates []candidate) index {
	ix := index{always: make([]uint64, (len(candidates)+63)/64)}
	bySlot := assign(candidates)
	for i := range candidates {
		ix.always[i>>6] |= 1 << (i & 63)
	}
	for _, slot := range slices.Sorted(maps.Keys(bySlot)) {
		if lists := bySlot[slot]; len(lists) >= minIndexed {
			ix.tables = append(ix.tables, newTable(slot, lists))
			for i := range lists {
				ix.always[i>>6] &^= 1 << (i & 63)
			}
		}
	}
	return ix
}

// assign gives each candidate that asks for one of some values of a field to
// one such field: that with the most different values, which tells most apart.
// The result is candidate and value hashes by slot.
func assign(candidates []candidate) map[int]map[int][]uint64 {
	values := map[int]map[uint64]bool{}
	for _, c := range candidates {
		for _, e := range c.equalities() {
			if values[e.Slot] == nil {
				values[e.Slot] = map[uint64]bool{}
			}
			for _, h := range hashes(e) {
				values[e.Slot][h] = true
			}
		}
	}
	bySlot := map[int]map[int][]uint64{}
	for i, c := range candidates {
		es := c.equalities()
		if len(es) == 0 {
			continue
		}
		best := slices.MaxFunc(es, func(a, b cond.Equality) int { return len(values[a.Slot]) - len(values[b.Slot]) })
		if bySlot[best.Slot] == nil {
			bySlot[best.Slot] = map[int][]uint64{}
		}
		bySlot[best.Slot][i] = hashes(best)
	}
	return bySlot
}

func (c *candidate) equalities() []cond.Equality {
	if c.always {
		return nil
	}
	return c.match.Equalities()
}

func hashes(e cond.Equality) []uint64 {
	var all []uint64
	for _, s := range e.Texts {
		all = append(all, maphash.String(seed, s))
	}
	for _, f := range e.Numbers {
		all = append(all, hashNumber(f))
	}
	return all
}

func hashNumber(f float64) uint64 {
	var b [9]byte                                              // one byte more than a number, so that few texts share its hash
	binary.LittleEndian.PutUint64(b[:], math.Float64bits(f+0)) // + 0: no negative zero
	return maphash.Bytes(seed, b[:])
}

func newTable(slot int, candidates map[int][]uint64) table {
	n := 0
	for _, hashes := range candidates {
		n += len(hashes)
	}
	size := 8
	for size < 2*n {
		size *= 2
	}
	t := table{slot: slot, cells: make([]cell, size)}
	for _, i := range slices.Sorted(maps.Keys(candidates)) {
		for _, h := range candidates[i] {
			c := t.cell(h)
			c.hash, c.candidates = h, append(c.candidates, i)
		}
	}
	return t
}

// cell returns the cell of a hash, or the empty one where it would be.
func (t *table) cell(hash uint64) *cell {
	mask := uint64(len(t.cells) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if c := &t.cells[i]; c.candidates == nil || c.hash == hash {
			return c
		}
	}
}

func (t *table) find(r *cond.Record) []int {
	switch v := r.Value(t.slot); v.Kind {
	case entry.String:
		return t.cell(maphash.Bytes(seed, r.Text(v))).candidates
	case entry.Number:
		if f, ok := v.Number(); ok {
			return t.cell(hashNumber(f)).candidates
		}
	}
	return nil
}

// open returns the candidates to be asked about a record, in the memory of buf.
func (ix *index) open(buf []uint64, r *cond.Record) []uint64 {
	buf = append(buf[:0], ix.always...)
	for i := range ix.tables {
		for _, c := range ix.tables[i].find(r) {
			buf[c>>6] |= 1 << (c & 63)
		}
	}
	return buf
}
