package file

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

// index reads the identities in the last bytes of all files, the oldest first: the index forgets in that order.
func (k *file) index(ctx context.Context) error {
	seen := newIndex()
	left := int64(k.cfg.AgainWindow) - k.state.Length
	gens, _, err := k.names.list()
	if err != nil {
		return fmt.Errorf("read directory: %w", err)
	}
	first := len(gens)
	for ; first > 0 && left > 0; first-- {
		left -= gens[first-1].length()
	}
	for _, g := range gens[first:] {
		if err := g.scan(ctx, seen, max(0, -left)); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("read file: %w", ctx.Err())
			}
			k.meter.log.Warn().Str("file", g.path).Err(err).Msg("a rotated file cannot be read: entries of it that come again are not recognised")
		}
		left = 0 // of the others nothing is passed over
	}
	from := max(0, k.state.Length-int64(k.cfg.AgainWindow))
	if err := scanLines(ctx, seen, io.NewSectionReader(k.f, from, k.state.Length-from)); err != nil {
		return fmt.Errorf("read file: %w", err)
	}
	k.seen = seen
	return nil
}

// length is how many bytes the file has when it is not compressed.
func (g generation) length() int64 {
	if g.plain {
		if info, err := os.Stat(g.path); err == nil {
			return info.Size()
		}
	}
	f, err := os.Open(g.path + packSuffix)
	if err != nil {
		return 0
	}
	defer f.Close()
	var head [zstd.HeaderMaxSize]byte
	n, _ := io.ReadFull(f, head[:])
	var h zstd.Header
	if h.Decode(head[:n]) != nil || !h.HasFCS {
		return g.size // at least
	}
	return int64(h.FrameContentSize)
}

// scan adds what stands behind the first skip bytes.
func (g generation) scan(ctx context.Context, into *index, skip int64) error {
	path := g.path
	if !g.plain {
		path += packSuffix
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = f
	if !g.plain {
		dec, err := unpack(f)
		if err != nil {
			return err
		}
		defer dec.Close()
		r = dec
	}
	if _, err := io.CopyN(io.Discard, until{ctx, r}, skip); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return scanLines(ctx, into, r)
}

// scanLines adds the identities of lines. A line that is no entry (the first one may be half of one) has none.
func scanLines(ctx context.Context, into *index, from io.Reader) error {
	lines := bufio.NewReaderSize(until{ctx, from}, 1<<20)
	var scan sink.Scanner
	var long []byte
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if len(long) > 0 {
			line = append(long, line...)
			long = long[:0]
		}
		if id, bad := scan.Scan(line); bad == nil && !id.IsZero() {
			into.add(id)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
