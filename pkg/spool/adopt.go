package spool

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Adopted is the queue of a dead process, to be emptied by another: Pending first, then Next. All that comes from it may have
// been stored before (Dlog-Again). Reserve returns ErrClosed. Close removes the files if everything was acked; otherwise they
// wait for the next adopter. Its files are read, not mapped, and nothing in them is trusted.
type Adopted struct {
	Queue
	c *chain

	birth   []byte
	started time.Time
	refused []Refusal
}

// Birth is what SetBirth stored, nil where that is missing.
func (a *Adopted) Birth() []byte { return a.birth }

// Started is when the dead process opened its queue.
func (a *Adopted) Started() time.Time { return a.started }

// Refused are the refusals that the dead process counted.
func (a *Adopted) Refused() []Refusal { return a.refused }

// LastSeq is the greatest number of an entry that any adopter found so far: the last number that the process is known to have
// used, but for what lies in segments that cannot be read.
func (a *Adopted) LastSeq() uint64 {
	a.c.rmu.Lock()
	defer a.c.rmu.Unlock()
	return a.c.recovered.lastSeq
}

// Drained says whether every entry was read and acked.
func (a *Adopted) Drained() bool {
	a.c.rmu.Lock()
	defer a.c.rmu.Unlock()
	return !a.c.ended && a.c.drained()
}

// Err is the first failure to read a segment; its entries are not delivered and its files stay.
func (a *Adopted) Err() error {
	a.c.rmu.Lock()
	defer a.c.rmu.Unlock()
	return a.c.recovered.failed
}

// MaxAdopted is how many queues Adopt opens at once. Each takes four file descriptors and more while it is read.
const MaxAdopted = 64

// Adopt is AdoptSome for MaxAdopted queues of any processes.
func Adopt(dir string) ([]*Adopted, error) { return AdoptSome(dir, MaxAdopted, nil) }

// AdoptSome opens queues of dead processes below dir, at most as many as said, and takes their locks. Those whose process lives,
// or that another adopter has, are passed over; of the others those whose birth entry (nil where it is missing) want refuses;
// nil wants all. The error joins one line for each that cannot be read: its files are left alone, as are those of another user,
// unless this process is root's. A directory that does not exist holds none.
func AdoptSome(dir string, most int, want func(birth []byte) bool) ([]*Adopted, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("spool: adopt: %w", err)
	}
	var all []*Adopted
	var failed []error
	for _, e := range entries {
		if len(all) >= most {
			break
		}
		if !isProcessName(e.Name()) {
			continue
		}
		a, err := adoptOne(filepath.Join(dir, e.Name()), want)
		switch {
		case err == nil:
			all = append(all, a)
		case !errors.Is(err, errLocked) && !errors.Is(err, errNotComplete) && !errors.Is(err, errNotWanted) && !errors.Is(err, fs.ErrNotExist):
			failed = append(failed, fmt.Errorf("spool: adopt %s: %w", filepath.Join(dir, e.Name()), err))
		}
	}
	return all, errors.Join(failed...)
}

func isProcessName(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 16
}

var (
	errNotComplete = errors.New("not complete")
	errForeign     = errors.New("belongs to another user")
	errNotWanted   = errors.New("not wanted")
)

// adoptOne opens the directory of one dead process.
func adoptOne(path string, want func(birth []byte) bool) (*Adopted, error) {
	before, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !before.IsDir() {
		return nil, errors.New("not a directory")
	}
	owner, known := ownerOf(before)
	if known && os.Geteuid() != 0 && owner != os.Geteuid() {
		return nil, errForeign
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	p := &process{root: root, path: path}
	a, err := p.adopt(before, opener{root: root, owner: owner, known: known}, want)
	if err != nil {
		if p.lock != nil {
			p.lock.Close()
		}
		root.Close()
		return nil, err
	}
	return a, nil
}

// staleAfter is the age at which a directory without a head is one whose process died while it was made.
const staleAfter = time.Hour

func (p *process) adopt(before fs.FileInfo, o opener, want func(birth []byte) bool) (*Adopted, error) {
	if now, err := p.root.Stat("."); err != nil || !os.SameFile(before, now) {
		return nil, errors.Join(errors.New("was replaced while it was opened"), err)
	}
	if _, err := p.root.Lstat(headFile); errors.Is(err, fs.ErrNotExist) {
		return nil, p.removeStale(o, before)
	}
	var err error
	if p.lock, err = o.open(lockFile); err != nil {
		return nil, err
	}
	if err := tryLock(p.lock); err != nil {
		return nil, err
	}
	// Another adopter may have emptied and removed it in between.
	if st, err := p.root.Lstat(lockFile); err != nil {
		return nil, err
	} else if now, err := p.lock.Stat(); err != nil || !os.SameFile(st, now) {
		return nil, errLocked
	}
	return p.read(o, want)
}

// removeStale removes what a process left that died before it wrote its head.
func (p *process) removeStale(o opener, st fs.FileInfo) error {
	if time.Since(st.ModTime()) < staleAfter {
		return errNotComplete
	}
	lock, err := o.open(lockFile)
	if err == nil {
		if err := tryLock(lock); err != nil {
			lock.Close()
			return err
		}
		p.lock = lock
	} else if p.lock, err = p.root.OpenFile(lockFile, createFlags, fileMode); err != nil {
		return err
	}
	return errors.Join(errNotComplete, p.remove())
}

// opener opens files that a stranger may have put there: no symbolic links, pipes or devices, and one owner for all.
type opener struct {
	root  *os.Root
	owner int
	known bool
}

func (o opener) open(name string) (*os.File, error) {
	st, err := o.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := o.root.OpenFile(name, os.O_RDWR|openFlags, 0)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	uid, _ := 0, false
	if err == nil {
		uid, _ = ownerOf(now)
	}
	switch {
	case err != nil:
	case !os.SameFile(st, now) || !now.Mode().IsRegular():
		err = fmt.Errorf("%s was replaced while it was opened", name)
	case o.known && uid != o.owner:
		err = fmt.Errorf("%s %w than the directory", name, errForeign)
	case now.Size() > maxFileSize:
		err = fmt.Errorf("%s is larger than any file of a spool", name)
	default:
		return f, nil
	}
	f.Close()
	return nil, err
}

// readAll opens a small file and reads it.
func (o opener) readAll(name string, size int) (*region, error) {
	f, err := o.open(name)
	if err != nil {
		return nil, err
	}
	mem := alignedBytes(size)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(size)), mem); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		f.Close()
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return &region{mem: mem, file: f, drop: func() { f.Close() }}, nil
}

// read makes the queue of the files. The lock is held.
func (p *process) read(o opener, want func(birth []byte) bool) (*Adopted, error) {
	var err error
	if p.head, err = o.readAll(headFile, headSize); err != nil {
		return nil, err
	}
	a := &Adopted{}
	key, err := a.parseHead(p.head.mem)
	if err == nil && want != nil && !want(a.birth) {
		err = errNotWanted
	}
	if err != nil {
		p.head.close()
		return nil, err
	}
	w := &writtenFiles{root: p.root, adopted: true, open: o.open}
	j := &journalFiles{make: w.region, note: p.setNumber}
	c := newChain(w, j, newCounters(), Config{}, leastSegment)
	c.key, c.where, c.atClose = key, p.path+" (adopted)", p.close
	c.recovered = &recovery{pending: make(map[uint64]bool), members: make(map[Pos]struct{})}
	c.last = binary.LittleEndian.Uint64(p.head.mem[numberAt:])
	packs, err := p.readFiles(o, c, j)
	if err != nil {
		c.letGo()
		p.head.close()
		return nil, err
	}
	if f, err := p.root.OpenFile(adoptedFile, os.O_WRONLY|os.O_CREATE, fileMode); err == nil {
		f.Close() // only Open's sum over the dead misses it otherwise
	}
	if err := p.keepLastSeq(c.recovered); err != nil {
		c.letGo()
		p.head.close()
		return nil, err
	}
	c.restorePacks(packs)
	j.takeUp(c.packs)
	c.closeAppend()
	a.Queue, a.c = c, c
	return a, nil
}

// keepLastSeq notes the greatest number in the head. An adopter may die after it has removed the last segment and before the others: the next one
// must not take a smaller number for the last.
func (p *process) keepLastSeq(r *recovery) error {
	noted := binary.LittleEndian.Uint64(p.head.mem[lastSeqAt:])
	if noted >= r.lastSeq {
		r.lastSeq = noted
		return nil
	}
	binary.LittleEndian.PutUint64(p.head.mem[lastSeqAt:], r.lastSeq)
	return p.head.flush(lastSeqAt, 8)
}

// closeAppend makes a chain that Reserve finds closed.
func (c *chain) closeAppend() {
	g := &segment{chain: c}
	g.state.Store(uint64(c.size) + 1)
	g.tail.Store(headerSize)
	c.cur.Store(g)
	c.closed = true
}

// letGo closes the files of a chain that came to nothing.
func (c *chain) letGo() {
	for _, g := range c.segs {
		c.store.release(g.block, false)
	}
	c.journal.close()
}

func (a *Adopted) parseHead(b []byte) (key string, err error) {
	if string(b[:8]) != headMagic {
		return "", errors.New("head is not one of a spool")
	}
	if err := checkVersion(b[8:]); err != nil {
		return "", err
	}
	if binary.LittleEndian.Uint32(b[headSummed:]) != crc32.Checksum(b[:headSummed], castagnoli) {
		return "", errors.New("head is damaged")
	}
	a.started = time.Unix(0, int64(binary.LittleEndian.Uint64(b[16:])))
	if n := binary.LittleEndian.Uint32(b[birthAt:]); n > 0 && n <= maxBirth {
		if line := b[birthAt+8 : birthAt+8+n]; crc32.Checksum(line, castagnoli) == binary.LittleEndian.Uint32(b[birthAt+4:]) {
			a.birth = slices.Clone(line)
		}
	}
	words := make([]atomic.Uint64, counterWords)
	for i := range words {
		words[i].Store(binary.LittleEndian.Uint64(b[countersAt+8*i:]))
	}
	a.refused = counters{words: words}.list()
	return hex.EncodeToString(b[24:32]), nil
}

// parseName tells the files of a spool from others.
func parseName(name string) (journal bool, ok bool) {
	number, journal := strings.CutPrefix(name, journalFile)
	if !journal {
		number, ok = strings.CutSuffix(name, segmentFile)
		if !ok {
			return false, false
		}
	}
	_, err := strconv.ParseUint(number, 10, 32)
	return journal, err == nil
}

// readFiles opens segments and journals; it returns the packs by slot.
func (p *process) readFiles(o opener, c *chain, j *journalFiles) (map[int]Pack, error) {
	names, err := p.list()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, name := range names {
		if isJournal, ok := parseName(name); ok && !isJournal {
			if err := c.addSegment(o, name); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	slices.SortFunc(c.segs, func(a, b *segment) int { return int(int64(a.index) - int64(b.index)) })
	c.segs = slices.CompactFunc(c.segs, func(a, b *segment) bool {
		if a.index == b.index {
			c.store.release(b.block, false) // two of one place: no spool does that
		}
		return a.index == b.index
	})
	c.trim()
	return j.read(o)
}

// trim gives the unused end of the last segment back to the disk: adopted spools may wait for long.
func (c *chain) trim() {
	if len(c.segs) == 0 {
		return
	}
	g := c.segs[len(c.segs)-1]
	if c.wake(g) != nil {
		return // Next tells
	}
	used := headerSize
	f := finder{mem: g.mem, nonce: g.nonce, off: headerSize}
	for v, _, ok := f.next(); ok; v, _, ok = f.next() {
		used = v.off + step(v.n)
		c.recovered.lastSeq = max(c.recovered.lastSeq, metaSeq(v.meta))
	}
	if g.block.file.Truncate(int64(used)) == nil {
		g.block.size = used
		g.state.Store(uint64(used))
		c.torn += f.torn
	}
	g.resting = c.store.idle(g)
}

// addSegment opens one segment. What is no segment was never used, or was being emptied: nothing un-acked is in it.
func (c *chain) addSegment(o opener, name string) error {
	f, err := o.open(name)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	var b [headerSize]byte
	h := header{}
	if _, err = f.ReadAt(b[:], 0); err == nil {
		h, err = parseHeader(b[:])
	}
	f.Close()
	if errors.Is(err, io.EOF) || errors.Is(err, errNoSegment) {
		return o.root.Remove(name)
	}
	if err != nil {
		return err
	}
	block := &block{name: name, size: int(st.Size()) &^ (align - 1), nonce: h.nonce}
	g := &segment{chain: c, nonce: h.nonce, index: h.index, base: h.base, block: block, resting: true}
	g.state.Store(uint64(block.size))
	c.segs = append(c.segs, g)
	return nil
}

// read opens the journals, from the first to the last that is there.
func (j *journalFiles) read(o opener) (map[int]Pack, error) {
	packs := make(map[int]Pack)
	for i := range maxJournals {
		r, err := o.readAll(journalName(i), journalSize)
		if errors.Is(err, fs.ErrNotExist) {
			return packs, nil
		}
		if err != nil {
			return nil, err
		}
		err = parseJournal(r.mem, func(slot int, p Pack) { packs[i*slotsPerFile+slot] = p })
		if errors.Is(err, ErrVersion) {
			r.close()
			return nil, fmt.Errorf("%s: %w", journalName(i), err)
		}
		// One that is damaged holds no packs that could be told: their entries are entries again.
		j.add(r)
	}
	return packs, nil
}

// takeUp frees the slots that hold none of the packs.
func (j *journalFiles) takeUp(packs map[uint64]*fixed) {
	used := make(map[int]bool, len(packs))
	for _, p := range packs {
		used[p.slot] = true
	}
	j.free = slices.DeleteFunc(j.free, func(i int) bool { return used[i] })
}
