package store

import (
	"encoding/json"
	"fmt"
	"testing"
)

func jsonWords(text string) (*hashSet, bool) {
	s := new(hashSet)
	return s, s.addJSON([]byte(text))
}

func (s *hashSet) has(word string) bool {
	found := false
	wordsOf([]byte(word), func(h uint64) {
		for _, x := range s.slots {
			found = found || x == h
		}
	})
	return found
}

func TestWords(t *testing.T) {
	f := func(text string, words ...string) {
		t.Helper()
		s, _ := jsonWords(text)
		for _, w := range words {
			if !s.has(w) {
				t.Errorf("%s: the word %q is not found", text, w)
			}
		}
		if s.n != len(words) {
			t.Errorf("%s: %d words, want %d", text, s.n, len(words))
		}
	}
	f(`{"message":"Deadlock detected"}`, "message", "deadlock", "detected")
	f(`{"a":"x\ny\"z"}`, "a", "x", "y", "z")
	f(`{"a":"\u0041b\u00fc"}`, "a", "abü")
	f(`{"a":"\u003cb\u003e"}`, "a", "b")
	f(`{"a":"\ud83d\ude00x"}`, "a", "😀x")
	f(`{"a":"grün o-12_3"}`, "a", "grün", "o", "12_3")
	f(`{"a":12.5,"b":-7}`, "a", "12", "5", "b", "7")
	f(`{"a":"\u00"}`, "a", "00")
	f(`{"a":"\\nb"}`, "a", "nb")
	f(``)
}

func TestExponent(t *testing.T) {
	f := func(text string, want bool) {
		t.Helper()
		if _, got := jsonWords(text); got != want {
			t.Errorf("%s: exponent %v", text, got)
		}
	}
	f(`{"a":1e3}`, true)
	f(`{"a":1E3}`, true)
	f(`{"a":1.0e3}`, true)
	f(`{"a":[2,1e-3]}`, true)
	f(`{"a":"1e3"}`, false)
	f(`{"a":"\"1e3"}`, false)
	f(`{"a":true,"b":false}`, false)
	f(`{"1e3":1}`, false)
}

func TestFilter(t *testing.T) {
	s := new(hashSet)
	for i := range 4000 {
		s.addJSON(fmt.Appendf(nil, `"w%d"`, i))
	}
	s.add(0)
	f := s.filter()
	hash := func(i int) (h uint64) {
		wordsOf(fmt.Appendf(nil, "w%d", i), func(x uint64) { h = x })
		return h
	}
	for i := range 4000 {
		if !mayHold(f, hash(i)) {
			t.Fatalf("word %d is not found", i)
		}
	}
	false0 := 0
	for i := range 40000 {
		if mayHold(f, hash(10000+i)) {
			false0++
		}
	}
	if share := float64(false0) / 40000; share > 0.03 {
		t.Errorf("%.3f of the other words are said to be there", share)
	}
	if !mayHold(f, 0) || mayHold(nil, 1) {
		t.Error("the word 0, or an empty filter")
	}
}

// FuzzWords: what a reader looks for in the text of a string is among the words of its JSON, however it is escaped.
func FuzzWords(f *testing.F) {
	f.Add("deadlock detected", true)
	f.Add("a\u2028b<c>\x00ü😀", false)
	f.Fuzz(func(t *testing.T, text string, ascii bool) {
		text = string([]rune(text)) // JSON cannot hold bytes that are not UTF-8
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if ascii {
			b = []byte(fmt.Sprintf("%+q", text))
			var back string
			if json.Unmarshal(b, &back) != nil || back != text {
				return
			}
		}
		s, _ := jsonWords(string(b))
		wordsOf([]byte(text), func(h uint64) {
			for _, x := range s.slots {
				if x == h {
					return
				}
			}
			t.Errorf("a word of %q is not among those of %s", text, b)
		})
	})
}
