package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A journal file is a header and slots of 64 bytes, one for each pack that is fixed and not acked. A slot is free when its
// checksum is zero, so it becomes a pack, and free again, with the last four bytes written. There is nothing to compact: acked
// packs are forgotten where they stand, because the frames themselves say that they are acked.
//
//	u64 number, first, last; i64 at; u32 count, crc; 12 bytes unused; u32 checksum
const (
	journalMagic = "dlogjrnl"
	journalSize  = 64 << 10
	slotSize     = 64
	slotSummed   = slotSize - 4
	slotsPerFile = journalSize/slotSize - 1 // the first is the header
	maxJournals  = 64
)

// journal keeps the packs that are fixed and not acked. chain.rmu guards it.
type journal interface {
	fix(p Pack) (slot int, err error)
	ack(slot int)
	close()
}

var errManyPacks = errors.New("too many packs are un-acked")

// journalFiles is the journal of a queue with files.
type journalFiles struct {
	files []*region
	free  []int
	make  func(name string, size int) (*region, error)
	note  func(number uint64) error // keeps the greatest number
}

func journalName(i int) string { return fmt.Sprintf("%s%d", journalFile, i) }

// grow adds a file.
func (j *journalFiles) grow() error {
	if len(j.files) >= maxJournals {
		return errManyPacks
	}
	r, err := j.make(journalName(len(j.files)), journalSize)
	if err != nil {
		return err
	}
	copy(r.mem, journalMagic)
	binary.LittleEndian.PutUint32(r.mem[8:], version)
	if err := r.flush(0, slotSize); err != nil {
		r.close()
		return err
	}
	j.add(r)
	return nil
}

// add takes a file with free slots alone; used gives those back that hold packs.
func (j *journalFiles) add(r *region) {
	first := len(j.files) * slotsPerFile
	j.files = append(j.files, r)
	for i := slotsPerFile - 1; i >= 0; i-- {
		j.free = append(j.free, first+i)
	}
}

func (j *journalFiles) slot(i int) (r *region, off int) {
	return j.files[i/slotsPerFile], (i%slotsPerFile + 1) * slotSize
}

func (j *journalFiles) fix(p Pack) (int, error) {
	if len(j.free) == 0 {
		if err := j.grow(); err != nil {
			return 0, err
		}
	}
	if err := j.note(p.Number); err != nil {
		return 0, err
	}
	i := j.free[len(j.free)-1]
	r, off := j.slot(i)
	putSlot(r.mem[off:off+slotSize], p)
	if err := r.flush(off, slotSize); err != nil {
		binary.LittleEndian.PutUint32(r.mem[off+slotSummed:], 0)
		return 0, err
	}
	j.free = j.free[:len(j.free)-1]
	return i, nil
}

func (j *journalFiles) ack(i int) {
	r, off := j.slot(i)
	binary.LittleEndian.PutUint32(r.mem[off+slotSummed:], 0)
	// Where this fails the pack is sent once more after a restart, as one that may have been stored.
	_ = r.flush(off+slotSummed, 4)
	j.free = append(j.free, i)
}

func (j *journalFiles) close() {
	for _, r := range j.files {
		r.close()
	}
	j.files = nil
}

// putSlot writes a pack; the subject is the one of its first frame.
func putSlot(b []byte, p Pack) {
	clear(b)
	binary.LittleEndian.PutUint64(b, p.Number)
	binary.LittleEndian.PutUint64(b[8:], uint64(p.First))
	binary.LittleEndian.PutUint64(b[16:], uint64(p.Last))
	binary.LittleEndian.PutUint64(b[24:], uint64(p.At))
	binary.LittleEndian.PutUint32(b[32:], uint32(p.Count))
	binary.LittleEndian.PutUint32(b[36:], p.CRC)
	binary.LittleEndian.PutUint32(b[slotSummed:], slotSum(b))
}

// slotSum is never zero, which means free.
func slotSum(b []byte) uint32 { return crc32.Checksum(b[:slotSummed], castagnoli) | 1 }

// parseSlot reads a pack without its subject; false for a free slot and for one that is not whole.
func parseSlot(b []byte) (Pack, bool) {
	p := Pack{
		Number: binary.LittleEndian.Uint64(b), First: Pos(binary.LittleEndian.Uint64(b[8:])),
		Last: Pos(binary.LittleEndian.Uint64(b[16:])), At: int64(binary.LittleEndian.Uint64(b[24:])),
		Count: int(binary.LittleEndian.Uint32(b[32:])), CRC: binary.LittleEndian.Uint32(b[36:]),
	}
	ok := binary.LittleEndian.Uint32(b[slotSummed:]) == slotSum(b) && p.Number > 0 && p.Count > 0 && p.First <= p.Last
	return p, ok
}

// parseJournal calls f for each pack of a journal file.
func parseJournal(b []byte, f func(slot int, p Pack)) error {
	if len(b) < slotSize || string(b[:8]) != journalMagic {
		return errors.New("not a journal")
	}
	if err := checkVersion(b[8:]); err != nil {
		return err
	}
	for i := range min(slotsPerFile, len(b)/slotSize-1) {
		if p, ok := parseSlot(b[(i+1)*slotSize : (i+2)*slotSize]); ok {
			f(i, p)
		}
	}
	return nil
}
