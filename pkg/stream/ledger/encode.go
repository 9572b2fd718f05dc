package ledger

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"
)

// version is the first byte of a batch. Numbers are unsigned varints (encoding/binary) unless it is said otherwise; "signed" are zigzag
// varints. A batch is
//
//	version, flags (1: full, 2: debts), number of the run's batch, back,
//	totals: messages, entries, delivered, by default, expired,
//	names: how many, then each: kind (a byte), length, bytes, total,
//	expired spans, and in a full batch recorded spans: how many, then each: first minus the end before, length minus 1,
//	records: how many, then each:
//	    seq (signed, difference to the record before), time in Unix nanoseconds (signed, the same),
//	    entries, delivered, by default,
//	    counts: how many, then each: index of the name, entries,
//	    withheld: how many groups, then each: index of the rule's name, the task's key (8 bytes, little endian),
//	        how many runs, then each: first minus the end before, length minus 1.
//
// What follows is ignored, so that later versions may add to it.
const version = 1

const (
	flagFull = 1 << iota
	flagDebts
)

// encoder makes batches. It is used again and again by one goroutine.
type encoder struct {
	index map[Name]uint64
	names []Name
}

func (e *encoder) encode(b *Batch) []byte {
	out := make([]byte, 0, 64+32*len(b.Totals.By)+64*len(b.Records))
	flags := byte(0)
	if b.Full {
		flags |= flagFull
	}
	if b.Debts {
		flags |= flagDebts
	}
	out = append(out, version, flags)
	for _, n := range []uint64{b.Number, b.Back, b.Totals.Messages, b.Totals.Entries, b.Totals.Delivered, b.Totals.ByDefault, b.Totals.Expired} {
		out = binary.AppendUvarint(out, n)
	}
	out = e.appendNames(out, b)
	out = appendSpans(out, b.Expired)
	if b.Full {
		out = appendSpans(out, b.Recorded)
	}
	out = binary.AppendUvarint(out, uint64(len(b.Records)))
	var before Record
	at := int64(0)
	for i := range b.Records {
		r := &b.Records[i]
		out = binary.AppendVarint(out, int64(r.Seq-before.Seq))
		out = binary.AppendVarint(out, r.At.UnixNano()-at)
		out = e.appendRecord(out, r)
		before.Seq, at = r.Seq, r.At.UnixNano()
	}
	return out
}

// appendNames writes the names of By, with their totals.
func (e *encoder) appendNames(out []byte, b *Batch) []byte {
	if e.index == nil {
		e.index = map[Name]uint64{}
	}
	clear(e.index)
	e.names = slices.AppendSeq(e.names[:0], maps.Keys(b.Totals.By))
	slices.SortFunc(e.names, func(a, b Name) int {
		if a.Kind != b.Kind {
			return int(a.Kind) - int(b.Kind)
		}
		return strings.Compare(a.Name, b.Name)
	})
	out = binary.AppendUvarint(out, uint64(len(e.names)))
	for i, n := range e.names {
		e.index[n] = uint64(i)
		out = append(out, byte(n.Kind))
		out = binary.AppendUvarint(out, uint64(len(n.Name)))
		out = append(out, n.Name...)
		out = binary.AppendUvarint(out, b.Totals.By[n])
	}
	return out
}

func (e *encoder) appendRecord(out []byte, r *Record) []byte {
	for _, n := range []uint64{r.Entries, r.Delivered, r.ByDefault, uint64(len(r.Counts))} {
		out = binary.AppendUvarint(out, n)
	}
	for _, c := range r.Counts {
		out = binary.AppendUvarint(out, e.index[c.Name])
		out = binary.AppendUvarint(out, c.N)
	}
	out = binary.AppendUvarint(out, groups(r.Withheld))
	for i := 0; i < len(r.Withheld); {
		j := groupEnd(r.Withheld, i)
		out = binary.AppendUvarint(out, e.index[Name{Dropped, r.Withheld[i].Rule}])
		out = binary.LittleEndian.AppendUint64(out, uint64(r.Withheld[i].Task))
		out = binary.AppendUvarint(out, uint64(j-i))
		end := uint64(0)
		for ; i < j; i++ {
			w := r.Withheld[i]
			out = binary.AppendUvarint(out, w.First-end)
			out = binary.AppendUvarint(out, w.Last-w.First)
			end = w.Last
		}
	}
	return out
}

// groups counts the runs of withheld entries that share rule and task.
func groups(all []Withheld) (n uint64) {
	for i := 0; i < len(all); i = groupEnd(all, i) {
		n++
	}
	return n
}

func groupEnd(all []Withheld, i int) int {
	j := i + 1
	for j < len(all) && all[j].Rule == all[i].Rule && all[j].Task == all[i].Task {
		j++
	}
	return j
}

func appendSpans(out []byte, s Spans) []byte {
	out = binary.AppendUvarint(out, uint64(len(s)))
	end := uint64(0)
	for _, r := range s {
		out = binary.AppendUvarint(out, r.First-end)
		out = binary.AppendUvarint(out, r.Last-r.First)
		end = r.Last
	}
	return out
}
