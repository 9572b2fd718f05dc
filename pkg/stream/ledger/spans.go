package ledger

import (
	"slices"
)

// Span is a run of sequences, both ends included.
type Span struct{ First, Last uint64 }

// Spans is a set of sequences: runs in order that neither overlap nor touch.
type Spans []Span

// find returns the index of the first run that ends at seq or later.
func (s Spans) find(seq uint64) int {
	i, _ := slices.BinarySearchFunc(s, seq, func(r Span, seq uint64) int {
		if r.Last < seq {
			return -1
		}
		return 1
	})
	return i
}

// Has reports whether seq is in the set.
func (s Spans) Has(seq uint64) bool {
	i := s.find(seq)
	return i < len(s) && s[i].First <= seq
}

// Add returns the set with a run added; it may change s. A run that is not one adds nothing.
func (s Spans) Add(r Span) Spans {
	if r.First > r.Last {
		return s
	}
	i := s.find(r.First)
	if i > 0 && s[i-1].Last+1 == r.First {
		i--
	}
	j := i
	for ; j < len(s) && (s[j].First <= r.Last || s[j].First-1 == r.Last); j++ {
		r.First, r.Last = min(r.First, s[j].First), max(r.Last, s[j].Last)
	}
	return slices.Replace(s, i, j, r)
}

// Gaps returns what is not in the set from 1 up to last.
func (s Spans) Gaps(last uint64) (gaps Spans) {
	next := uint64(1)
	for _, r := range s {
		if r.First > last {
			break
		}
		if r.First > next {
			gaps = append(gaps, Span{next, r.First - 1})
		}
		next = r.Last + 1
		if next == 0 {
			return gaps
		}
	}
	if next <= last {
		gaps = append(gaps, Span{next, last})
	}
	return gaps
}

// Cut returns the set without anything above last.
func (s Spans) Cut(last uint64) Spans {
	i := s.find(last)
	if i < len(s) && s[i].First <= last {
		s[i].Last = last
		i++
	}
	return s[:min(i, len(s))]
}

// Max returns the greatest sequence in the set, 0 for none.
func (s Spans) Max() uint64 {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].Last
}

// Count returns how many sequences are in the set.
func (s Spans) Count() (n uint64) {
	for _, r := range s {
		n += r.Last - r.First + 1
	}
	return n
}
