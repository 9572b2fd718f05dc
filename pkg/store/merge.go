package store

import (
	"bytes"
	"slices"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// In quiet times a commit holds a few entries, and blocks of a few entries compress badly. So blocks are merged as they are in a
// log-structured tree: eight of one size class become one of the next, in the transaction of the commit that makes the eighth. An
// entry is written four times at the most.
const (
	fanOut = 8
	// fullEntries and fullBytes make a block one that is left alone.
	fullEntries = 512
	fullBytes   = 256 << 10
)

// class is the size class of a block of so many entries.
func class(entries int) int {
	c := 0
	for n := fanOut; n <= entries; n *= fanOut {
		c++
	}
	return c
}

// merge chooses the blocks at the end of the file that are to be merged with so many new entries.
func (f *dayFile) merge(entries int) []tailBlock {
	if entries == 0 || entries >= blockEntries {
		return nil
	}
	take, total := 0, entries
	for {
		n, sum := take, total
		for n < len(f.tail) && class(len(f.tail[len(f.tail)-1-n].records)) <= class(total) {
			sum += len(f.tail[len(f.tail)-1-n].records)
			n++
		}
		if n == take || n-take < fanOut-1 && sum < fullEntries {
			return f.tail[len(f.tail)-take:]
		}
		take, total = n, sum
	}
}

// grow notes a new block at the end of the file.
func grow(tail []tailBlock, id int64, b *built) []tailBlock {
	if len(b.records) >= fullEntries || b.bytes >= fullBytes {
		return nil
	}
	for i := range b.records {
		r := &b.records[i]
		if !r.old {
			r.line = bytes.Clone(r.line) // it was the caller's
			r.old = true
		}
	}
	b.records = slices.Clone(b.records)
	b.heads, b.lines, b.filter, b.counts, b.durations, b.tasks = nil, nil, nil, nil, nil, nil
	return append(tail, tailBlock{id, b})
}

// loadTail reads the small blocks at the end of the file, as grow would have kept them.
func (f *dayFile) loadTail(b *builder) error {
	unpack, err := newUnpacker()
	if err != nil {
		return err
	}
	defer unpack.Close()
	byID := map[int64]*subjectInfo{}
	for _, s := range f.subjects {
		byID[s.id] = s
	}
	for id := f.state.lastBlock; id > 0; id-- {
		row, err := f.d.one("SELECT entries, bytes, heads, lines FROM blocks JOIN data ON block = id WHERE id = ?", id)
		if err != nil {
			return err
		}
		if row == nil {
			return damaged("block %d is not there", id)
		}
		entries, size := int(asInt(row[0])), int(asInt(row[1]))
		if entries >= fullEntries || size >= fullBytes || entries <= 0 {
			break
		}
		var u unpacked
		if err := u.unpack(unpack, asBytes(row[2]), asBytes(row[3])); err != nil {
			return err
		}
		records, err := u.records(byID)
		if err != nil {
			return err
		}
		t := tailBlock{id, b.build(records, false)}
		t.heads, t.lines, t.filter = nil, nil, nil
		f.tail = append(f.tail, t)
	}
	slices.Reverse(f.tail)
	return nil
}

// records turns a block back into what it was made of.
func (u *unpacked) records(subjects map[int64]*subjectInfo) ([]record, error) {
	records := make([]record, 0, u.entries)
	for line, r := range u.each() {
		s := subjects[r.subject]
		if s == nil {
			return nil, damaged("subject %d is not there", r.subject)
		}
		records = append(records, record{line: bytes.Clone(line), subject: s, seq: r.seq, ms: r.time, old: true})
	}
	return records, nil
}

var identityKeys = entry.CompileKeys([]string{"dlog.proc", "dlog.seq"})

// identityOf reads who said a line; the zero process where it does not say.
func identityOf(line []byte, slots entry.Slots) (task.Process, uint64) {
	if identityKeys.Scan(line, slots) != nil {
		return task.Process{}, 0
	}
	return identityIn(&slots[0], &slots[1], nil)
}

func identityIn(proc, seq *entry.Value, buf []byte) (task.Process, uint64) {
	if proc.Kind != entry.String {
		return task.Process{}, 0
	}
	n, ok := seq.Uint()
	p, good := processOf(proc.Text(buf))
	if !ok || !good || n > maxNumber {
		return task.Process{}, 0
	}
	return p, n
}

func processOf(hex []byte) (p task.Process, ok bool) {
	if len(hex) != 2*len(p) {
		return p, false
	}
	for i := range p {
		hi, lo := nibbles[hex[2*i]], nibbles[hex[2*i+1]]
		if hi|lo > 15 {
			return task.Process{}, false
		}
		p[i] = hi<<4 | lo
	}
	return p, !p.IsZero()
}
