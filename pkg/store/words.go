package store

import (
	"math/bits"
	"unicode/utf8"
)

// A word is a run of letters, digits, underscores and bytes that are not ASCII; ASCII letters count as lower case. The words of a JSON text are
// those of its strings with their escapes undone, and of its numbers and names. They are compared by a hash of 64 bits.

// FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/), with a last mix, because its low bits alone are poor.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// wordByte maps the bytes of words to themselves or to lower case, all others to 0.
var wordByte = func() (t [256]byte) {
	for c := range t {
		switch b := byte(c); {
		case '0' <= b && b <= '9', 'a' <= b && b <= 'z', b == '_', b >= utf8.RuneSelf:
			t[c] = b
		case 'A' <= b && b <= 'Z':
			t[c] = b + 'a' - 'A'
		}
	}
	return t
}()

func mix(h uint64) uint64 {
	h ^= h >> 32
	h *= 0x9e3779b97f4a7c15
	return h ^ h>>29
}

// wordsOf calls add with the hash of each word of a plain text.
func wordsOf(text []byte, add func(uint64)) {
	h := uint64(fnvOffset)
	for _, c := range text {
		if l := wordByte[c]; l != 0 {
			h = (h ^ uint64(l)) * fnvPrime
		} else if h != fnvOffset {
			add(mix(h))
			h = fnvOffset
		}
	}
	if h != fnvOffset {
		add(mix(h))
	}
}

// addJSON adds the words of a JSON text and reports whether a number in it has an exponent: such a number's words do not tell its value.
func (s *hashSet) addJSON(text []byte) (exponent bool) {
	h := uint64(fnvOffset)
	inString := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		if l := wordByte[c]; l != 0 {
			if l == 'e' && !inString && i > 0 && wordByte[text[i-1]]-'0' <= 9 {
				exponent = true
			}
			h = (h ^ uint64(l)) * fnvPrime
			continue
		}
		if c == '\\' && i+1 < len(text) {
			i++
			if text[i] == 'u' {
				var n int
				if h, n = escaped(text[i-1:], h, s); n > 0 {
					i += n - 2
					continue
				}
			}
		} else if c == '"' {
			inString = !inString
		}
		if h != fnvOffset {
			s.add(mix(h))
			h = fnvOffset
		}
	}
	if h != fnvOffset {
		s.add(mix(h))
	}
	return exponent
}

// escaped goes on with a word at \uXXXX, or ends it there. It returns how many bytes the escape has, 0 where it is none.
func escaped(text []byte, h uint64, s *hashSet) (uint64, int) {
	r, n := unescape(text)
	if n == 0 {
		return h, 0
	}
	var buf [utf8.UTFMax]byte
	for _, c := range buf[:utf8.EncodeRune(buf[:], r)] {
		if l := wordByte[c]; l != 0 {
			h = (h ^ uint64(l)) * fnvPrime
		} else if h != fnvOffset {
			s.add(mix(h))
			h = fnvOffset
		}
	}
	return h, n
}

// unescape reads \uXXXX, or two of them that are one character.
func unescape(b []byte) (rune, int) {
	r, ok := hex4(b)
	if !ok {
		return 0, 0
	}
	if r >= 0xd800 && r < 0xdc00 {
		if low, ok := hex4(b[6:]); ok && low >= 0xdc00 && low < 0xe000 {
			return 0x10000 + (r-0xd800)<<10 + low - 0xdc00, 12
		}
	}
	return r, 6 // half a pair becomes U+FFFD in EncodeRune
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	var r rune
	for _, c := range b[2:6] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// hashSet is a set of hashes that is used again and again: open addressing, grown by doubling. 0 is kept aside.
type hashSet struct {
	slots []uint64
	n     int
	zero  bool
}

func (s *hashSet) reset() {
	if s.n > 0 {
		clear(s.slots)
	}
	s.n, s.zero = 0, false
}

func (s *hashSet) add(h uint64) {
	if h == 0 {
		s.zero = true
		return
	}
	if 2*s.n >= len(s.slots) {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case h:
			return
		case 0:
			s.slots[i] = h
			s.n++
			return
		}
	}
}

func (s *hashSet) holds(h uint64) bool {
	if h == 0 || len(s.slots) == 0 {
		return h == 0 && s.zero
	}
	mask := uint64(len(s.slots) - 1)
	for i := h & mask; s.slots[i] != 0; i = (i + 1) & mask {
		if s.slots[i] == h {
			return true
		}
	}
	return false
}

func (s *hashSet) grow() {
	old := s.slots
	s.slots, s.n = make([]uint64, max(1024, 2*len(old))), 0
	for _, h := range old {
		if h != 0 {
			s.add(h)
		}
	}
}

// The filter is a Bloom filter: bitsPerWord bits and probes hash functions a word leave 2.2 % of the blocks that do not hold a word to be
// read for nothing. The functions are h1 + i*h2 of the halves of one hash (Kirsch, Mitzenmacher: Less Hashing, Same Performance).
const (
	bitsPerWord = 8
	probes      = 5
)

// filter makes the filter of the words in the set.
func (s *hashSet) filter() []byte {
	n := s.n
	if s.zero {
		n++
	}
	f := make([]byte, (n*bitsPerWord+7)/8)
	if s.zero {
		addWord(f, 0)
	}
	for _, h := range s.slots {
		if h != 0 {
			addWord(f, h)
		}
	}
	return f
}

func addWord(f []byte, h uint64) {
	for i := range uint32(probes) {
		b := probe(f, h, i)
		f[b>>3] |= 1 << (b & 7)
	}
}

// mayHold reports whether a filter's block may hold the word.
func mayHold(f []byte, h uint64) bool {
	if len(f) == 0 {
		return false
	}
	for i := range uint32(probes) {
		if b := probe(f, h, i); f[b>>3]>>(b&7)&1 == 0 {
			return false
		}
	}
	return true
}

// probe is the number of a bit of the filter.
func probe(f []byte, h uint64, i uint32) uint64 {
	h1, h2 := uint32(h), uint32(h>>32)|1
	hi, _ := bits.Mul64(uint64(h1+i*h2)<<32, uint64(len(f))*8)
	return hi
}
