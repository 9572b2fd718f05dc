package store

import (
	"bytes"
	"iter"

	"github.com/klauspost/compress/zstd"
)

// unpacked is a block as a reader sees it. Its memory is used again for the next block.
type unpacked struct {
	entries int
	runs    []run
	lines   []byte
	buf     []byte
}

func (u *unpacked) unpack(z *zstd.Decoder, heads, lines []byte) error {
	if err := u.unpackHeads(z, heads); err != nil {
		return err
	}
	return u.unpackLines(z, lines)
}

func (u *unpacked) unpackHeads(z *zstd.Decoder, heads []byte) (err error) {
	if u.buf, err = z.DecodeAll(heads, u.buf[:0]); err != nil {
		return damaged("heads: %v", err)
	}
	u.runs, u.entries, err = decodeHeads(u.buf, u.runs)
	return err
}

func (u *unpacked) unpackLines(z *zstd.Decoder, lines []byte) (err error) {
	if u.lines, err = z.DecodeAll(lines, u.lines[:0]); err != nil {
		return damaged("lines: %v", err)
	}
	if n := bytes.Count(u.lines, []byte{'\n'}); n != u.entries || n == 0 || u.lines[len(u.lines)-1] != '\n' {
		return damaged("%d lines, want %d", n, u.entries)
	}
	return nil
}

// each yields the lines, without line ends, with the run they stand in.
func (u *unpacked) each() iter.Seq2[[]byte, *run] {
	return func(yield func([]byte, *run) bool) {
		rest := u.lines
		for i := range u.runs {
			for range u.runs[i].entries {
				end := bytes.IndexByte(rest, '\n')
				line := rest[:end:end]
				rest = rest[end+1:]
				if !yield(line, &u.runs[i]) {
					return
				}
			}
		}
	}
}

// with yields, as each does, the lines in which a text stands, which may not hold a line end. Searching the block as a whole is several times as
// fast as searching each line.
func (u *unpacked) with(needle *finder) iter.Seq2[[]byte, *run] {
	return func(yield func([]byte, *run) bool) {
		at, line := 0, 0 // where a line begins, and its number
		i, next := -1, 0 // the run, and the number of the first line behind it
		for {
			found := needle.in(u.lines[at:])
			if found < 0 {
				return
			}
			found += at
			start := bytes.LastIndexByte(u.lines[:found], '\n') + 1
			end := found + bytes.IndexByte(u.lines[found:], '\n')
			line += bytes.Count(u.lines[at:start], []byte{'\n'})
			for line >= next {
				i++
				next += u.runs[i].entries
			}
			if !yield(u.lines[start:end:end], &u.runs[i]) {
				return
			}
			at, line = end+1, line+1
		}
	}
}

// finder finds one text in many, by the algorithm of Horspool: it jumps by the length of the text wherever a byte cannot be part of it.
// bytes.Index looks for the first byte, and hex digits are everywhere.
type finder struct {
	text []byte // 1 to 255 bytes
	skip [256]uint8
}

func newFinder(text []byte) *finder {
	f := &finder{text: text}
	n := len(text)
	for i := range f.skip {
		f.skip[i] = uint8(n)
	}
	for i, c := range text[:n-1] {
		f.skip[c] = uint8(n - 1 - i)
	}
	return f
}

// in returns where the text stands first, -1 if nowhere.
func (f *finder) in(b []byte) int {
	last := len(f.text) - 1
	for i := last; i < len(b); i += int(f.skip[b[i]]) {
		if b[i] == f.text[last] && bytes.Equal(b[i-last:i+1], f.text) {
			return i - last
		}
	}
	return -1
}
