package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"slices"
)

// Checked is what Verify found in one file.
type Checked struct {
	File string
	// Entries in Blocks that are what was written.
	Entries, Blocks int64
	// Problems of this file; none means that all of it is as it should be.
	Problems []Problem
}

// Verify reads all of a store, every index included, and compares the indexes with the entries. It takes about as long as writing.
func (r *Reader) Verify(ctx context.Context) ([]Checked, error) {
	list, err := days(r.dir)
	if err != nil {
		return nil, fmt.Errorf("verify store: %w", err)
	}
	var out []Checked
	for _, day := range list {
		if ctx.Err() != nil {
			return out, context.Cause(ctx)
		}
		// A reader of its own gathers what is wrong with this file.
		one := &Reader{dir: r.dir, z: r.z, idle: map[string][]*handle{}}
		c := Checked{File: day + suffix}
		err := one.with(day, func(h *handle) error { return one.verify(ctx, h, &c) })
		for _, h := range one.idle[day] {
			_ = h.d.close() // it was only read
		}
		c.Problems = one.problems
		out = append(out, c)
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

func (r *Reader) verify(ctx context.Context, h *handle, c *Checked) error {
	if err := r.verifyPages(h); err != nil {
		return err
	}
	b, err := newBuilder()
	if err != nil {
		return err
	}
	defer b.pack.Close()
	if err := h.loadSubjects(); err != nil {
		return err
	}
	idx := r.indexSums(h)
	refs := r.refs(h, window{-1 << 62, 1 << 62})
	for _, ref := range refs {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := h.verifyBlock(r, b, ref, idx); err != nil {
			r.lost(h, ref, err)
			continue
		}
		c.Entries += int64(ref.entries)
		c.Blocks++
	}
	st, err := readState(h.d)
	if err == nil && len(r.Problems()) == 0 && st.entries != c.Entries {
		r.failed(h.day, damaged("it holds %d entries, and should %d", c.Entries, st.entries))
	}
	return err
}

func (r *Reader) verifyPages(h *handle) error {
	return h.d.query(func(row []driver.Value) error {
		if s := asText(row[0]); s != "ok" {
			r.failed(h.day, damaged("%s", s))
		}
		return nil
	}, "PRAGMA quick_check(1)")
}

// indexSums adds up what the indexes say of each block.
type indexSums struct {
	seed               maphash.Seed
	traces, identities map[int64]uint64
}

func (r *Reader) indexSums(h *handle) *indexSums {
	x := &indexSums{seed: maphash.MakeSeed(), traces: map[int64]uint64{}, identities: map[int64]uint64{}}
	err := h.d.query(func(row []driver.Value) error {
		x.traces[asInt(row[1])] += x.sum(asBytes(row[0]), asInt(row[2]), asInt(row[3]))
		return nil
	}, "SELECT trace, block, entries, errors FROM traces")
	if err != nil {
		r.failed(h.day, fmt.Errorf("the index of its traces: %w", err))
	}
	err = h.d.query(func(row []driver.Value) error {
		x.identities[asInt(row[1])] += x.sum(asBytes(row[4]), asInt(row[0]), asInt(row[2]), asInt(row[3]))
		return nil
	}, "SELECT proc, block, first, last, runs FROM identities")
	if err != nil {
		r.failed(h.day, fmt.Errorf("the index of its identities: %w", err))
	}
	return x
}

func (x *indexSums) sum(key []byte, numbers ...int64) uint64 {
	b := slices.Clone(key)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return maphash.Bytes(x.seed, b)
}

// verifyBlock makes a block's index anew from its entries and compares.
func (h *handle) verifyBlock(r *Reader, b *builder, ref ref, idx *indexSums) error {
	heads, lines, err := h.fetch(ref.id)
	if err != nil {
		return err
	}
	var u unpacked
	if err := u.unpack(r.z, heads, lines); err != nil {
		return err
	}
	records, err := u.records(h.subjects)
	if err != nil {
		return err
	}
	made := b.build(records, false)
	row, err := h.d.one("SELECT filter FROM words WHERE block = ?", ref.id)
	if err != nil {
		return err
	}
	if row == nil || !slices.Equal(asBytes(row[0]), made.filter) {
		return damaged("its entries are intact, its filter of words is not")
	}
	var traces, ids uint64
	for _, t := range made.traces {
		traces += idx.sum(t.trace[:], t.entries, t.errors)
	}
	for _, p := range made.identities {
		ids += idx.sum(p.runs, asInt(procKey(p.proc)), int64(p.first), int64(p.last))
	}
	if traces != idx.traces[ref.id] || ids != idx.identities[ref.id] {
		return damaged("its entries are intact, their index is not")
	}
	return h.verifyRow(ref.id, made)
}

func (h *handle) verifyRow(id int64, made *built) error {
	row, err := h.d.one("SELECT entries, bytes, first_seq, last_seq, first_time, last_time, flags FROM blocks WHERE id = ?", id)
	if err != nil {
		return err
	}
	want := []int64{int64(len(made.records)), int64(made.bytes), int64(made.firstSeq), int64(made.lastSeq), made.firstTime, made.lastTime, made.flags}
	for i := range want {
		if row == nil || asInt(row[i]) != want[i] {
			return damaged("its entries are intact, what the list of blocks says is not")
		}
	}
	return nil
}
