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
