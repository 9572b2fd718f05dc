package store

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// dayFile is the file that is written to.
type dayFile struct {
	day, path string
	d         *db
	state     fileState
	subjects  map[string]*subjectInfo
	fresh     []*subjectInfo // not stored yet
	lastID    int64          // of subjects
	tail      []tailBlock    // the small blocks at the end, oldest first
	warn      func(error)
}

// tailBlock is a small block that may be merged with what comes. It holds its records.
type tailBlock struct {
	id int64
	*built
}

func openDay(dir, day string, warn func(error), builders []*builder) (*dayFile, error) {
	f := &dayFile{day: day, path: dayPath(dir, day), subjects: map[string]*subjectInfo{}, warn: warn}
	err := makeDay(dir, f.path)
	if err != nil {
		return nil, fmt.Errorf("make %s: %w", f.path, err)
	}
	if f.d, err = openDB(f.path, "rw"); err != nil {
		return nil, describe(f.path, err)
	}
	if err = f.load(); err != nil {
		return nil, errors.Join(describe(f.path, err), f.d.close())
	}
	if err := f.loadTail(builders[0]); err != nil {
		warn(describe(f.path, err)) // it stays as it is
		f.tail = nil
	}
	return f, nil
}

// makeDay makes a day's file where there is none. It is made under another name, so that whoever finds it finds it complete: SQLite
// cannot change a file's journal while somebody reads it.
func makeDay(dir, path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return nil
	}
	aside := path + ".new"
	if err := removeDay(aside); err != nil {
		return err
	}
	d, err := openDB(aside, "rwc")
	if err != nil {
		return err
	}
	err = create(d)
	if e := d.close(); err == nil {
		err = e
	}
	if err == nil {
		err = syncFile(aside)
	}
	if err == nil {
		err = os.Rename(aside, path)
	}
	if err != nil {
		return errors.Join(err, removeDay(aside))
	}
	return syncDir(dir)
}

func (f *dayFile) load() error {
	v, err := version(f.d, f.path)
	if err == nil && v == 0 {
		err = errForeign
	}
	if err != nil {
		return err
	}
	for _, p := range []string{
		"PRAGMA busy_timeout = 2000",
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",        // a commit is on the disk when it returns
		"PRAGMA fullfsync = ON",            // on the disk, not in its cache, on macOS
		"PRAGMA wal_autocheckpoint = 4000", // 16 MiB: pages that many commits touch are written once
		"PRAGMA cache_size = -32000",
		"PRAGMA temp_store = MEMORY",
	} {
		if _, err := f.d.one(p); err != nil {
			return err
		}
	}
	if f.state, err = readState(f.d); err != nil {
		return err
	}
	return f.d.query(func(row []driver.Value) error {
		s := newSubject(asInt(row[0]), asText(row[1]))
		if asInt(row[2]) != checksum(s.text) {
			return damaged("subject %d is not what was written", s.id)
		}
		f.subjects[s.text] = s
		f.lastID = max(f.lastID, s.id)
		return nil
	}, "SELECT id, subject, crc FROM subjects")
}

func (f *dayFile) close() error {
	if f == nil {
		return nil
	}
	return f.d.close()
}

// seal makes the file one that is complete in itself: nothing is left in its log, and no page is free. Readers that have it open now
// only delay that.
func (f *dayFile) seal() error {
	if f == nil {
		return nil
	}
	err := sealDB(f.d)
	if e := f.d.close(); err == nil {
		err = e
	}
	if err != nil && code(err) != codeBusy {
		return fmt.Errorf("close %s: %w", f.path, err)
	}
	return nil
}

func sealDB(d *db) error {
	for _, p := range []string{"PRAGMA busy_timeout = 200", "PRAGMA incremental_vacuum", "PRAGMA wal_checkpoint(TRUNCATE)", "PRAGMA journal_mode = DELETE"} {
		if _, err := d.one(p); err != nil {
			return err
		}
	}
	return nil
}

// subject returns the file's number for a subject; a new one is stored with the next commit.
func (f *dayFile) subject(text string) *subjectInfo {
	s, ok := f.subjects[text]
	if !ok {
		f.lastID++
		s = newSubject(f.lastID, text)
		f.subjects[text] = s
		f.fresh = append(f.fresh, s)
	}
	return s
}

// store is one transaction. Small blocks at the end are merged with what is new.
func (f *dayFile) store(builders []*builder, records []record, commits int64, position []byte) error {
	merged := f.merge(len(records))
	next := f.state
	next.commits, next.position = commits, position
	if len(merged) > 0 {
		var all []record
		for _, t := range merged {
			all = append(all, t.records...)
		}
		records = append(all, records...)
		next.lastBlock = merged[0].id - 1
	}
	tail := slices.Clone(f.tail[:len(f.tail)-len(merged)])
	var sum sums
	err := f.d.transaction("BEGIN IMMEDIATE", func() error {
		if err := f.compare(); err != nil {
			return err
		}
		if err := f.prepare(merged); err != nil {
			return err
		}
		err := buildAll(builders, split(records), func(b *built) error {
			next.lastBlock++
			next.entries += int64(b.entries)
			sum.add(b)
			if err := f.insert(next.lastBlock, b); err != nil {
				return err
			}
			tail = grow(tail, next.lastBlock, b)
			return nil
		})
		if err != nil {
			return err
		}
		if err := sum.write(f.d); err != nil {
			return err
		}
		return f.d.exec("INSERT OR REPLACE INTO state(one, commits, position, entries, last_block, crc) VALUES(1, ?, ?, ?, ?, ?)",
			next.commits, string(next.position), next.entries, next.lastBlock, next.checksum())
	})
	if err != nil {
		return err
	}
	f.state, f.tail, f.fresh = next, tail, nil
	return nil
}

// compare makes sure that nobody has written since.
func (f *dayFile) compare() error {
	st, err := readState(f.d)
	if err != nil {
		return err
	}
	if st.commits != f.state.commits || st.lastBlock != f.state.lastBlock {
		return fmt.Errorf("%w: it has commit %d, this writer knows %d", ErrConflict, st.commits, f.state.commits)
	}
	return nil
}

// prepare stores new subjects and takes the blocks away whose entries are stored again with what is new.
func (f *dayFile) prepare(merged []tailBlock) error {
	for _, s := range f.fresh {
		if err := f.d.exec("INSERT INTO subjects(id, subject, crc) VALUES(?, ?, ?)", s.id, s.text, checksum(s.text)); err != nil {
			return err
		}
	}
	for _, t := range merged {
		for _, q := range []string{"DELETE FROM blocks WHERE id = ?", "DELETE FROM data WHERE block = ?", "DELETE FROM words WHERE block = ?"} {
			if err := f.d.exec(q, t.id); err != nil {
				return err
			}
		}
		for _, tr := range t.traces {
			if err := f.d.exec("DELETE FROM traces WHERE trace = ? AND block = ?", tr.trace[:], t.id); err != nil {
				return err
			}
		}
		for _, id := range t.identities {
			if err := f.d.exec("DELETE FROM identities WHERE proc = ? AND last = ? AND block = ?", procKey(id.proc), int64(id.last), t.id); err != nil {
				return err
			}
		}
	}
	return nil
}

// insert stores a block and its index.
func (f *dayFile) insert(id int64, b *built) error {
	err := f.d.exec("INSERT INTO blocks(id, entries, bytes, first_seq, last_seq, first_time, last_time, flags) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
		id, int64(len(b.records)), int64(b.bytes), int64(b.firstSeq), int64(b.lastSeq), b.firstTime, b.lastTime, b.flags)
	if err != nil {
		return err
	}
	if err := f.d.exec("INSERT INTO data(block, heads, lines) VALUES(?, ?, ?)", id, b.heads, b.lines); err != nil {
		return err
	}
	if err := f.d.exec("INSERT INTO words(block, filter) VALUES(?, ?)", id, b.filter); err != nil {
		return err
	}
	for i := range b.traces {
		t := &b.traces[i]
		if err := f.d.exec("INSERT INTO traces(trace, block, entries, errors) VALUES(?, ?, ?, ?)", t.trace[:], id, t.entries, t.errors); err != nil {
			return err
		}
	}
	for i := range b.identities {
		p := &b.identities[i]
		var runs driver.Value
		if len(p.runs) > 0 {
			runs = p.runs
		}
		if err := f.d.exec("INSERT INTO identities(proc, last, block, first, runs) VALUES(?, ?, ?, ?, ?)", procKey(p.proc), int64(p.last), id, int64(p.first), runs); err != nil {
			return err
		}
	}
	for i := range b.tasks {
		if err := b.tasks[i].write(f.d); err != nil {
			return err
		}
	}
	return nil
}

// sums are what the blocks of a commit add to tables that are not about blocks.
type sums struct {
	counts    map[countKey]countValue
	durations map[durationKey]int64
	blocks    []*built
}

func (s *sums) add(b *built) {
	if s.counts == nil {
		s.counts, s.durations = b.counts, b.durations
	} else {
		for k, v := range b.counts {
			c := s.counts[k]
			s.counts[k] = countValue{c.entries + v.entries, c.bytes + v.bytes}
		}
		for k, v := range b.durations {
			s.durations[k] += v
		}
	}
	s.blocks = append(s.blocks, b)
}

func (s *sums) write(d *db) error {
	for _, k := range slices.SortedFunc(maps.Keys(s.counts), compareCounts) {
		v := s.counts[k]
		err := d.exec(`INSERT INTO counts(minute, service, level, event, outcome, entries, bytes) VALUES(?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET entries = entries + excluded.entries, bytes = bytes + excluded.bytes`,
			k.minute, k.service, k.level.Token(), k.event, k.outcome, v.entries, v.bytes)
		if err != nil {
			return err
		}
	}
	for k, n := range s.durations {
		err := d.exec("INSERT INTO durations(subject, bucket, tasks) VALUES(?, ?, ?) ON CONFLICT DO UPDATE SET tasks = tasks + excluded.tasks", k.subject, k.bucket, n)
		if err != nil {
			return err
		}
	}
	for _, b := range s.blocks {
		for p, life := range b.processes {
			if err := life.write(d, procKey(p)); err != nil {
				return err
			}
		}
	}
	return nil
}

func compareCounts(a, b countKey) int {
	switch {
	case a.minute != b.minute:
		return int(min(1, max(-1, a.minute-b.minute)))
	case a.service != b.service:
		if a.service < b.service {
			return -1
		}
		return 1
	}
	return int(a.level - b.level)
}

func text(b []byte) driver.Value {
	if b == nil {
		return nil
	}
	return string(b)
}

func (p *process) write(d *db, proc driver.Value) error {
	return d.exec(`INSERT INTO processes(proc, subject, first, last, seen, birth, birth_time, beat, death, death_time) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT(proc) DO UPDATE SET first = min(first, excluded.first), last = max(last, excluded.last), seen = max(seen, excluded.seen),
			birth = coalesce(excluded.birth, birth), birth_time = iif(excluded.birth IS NULL, birth_time, excluded.birth_time),
			beat = coalesce(excluded.beat, beat),
			death = coalesce(excluded.death, death), death_time = iif(excluded.death IS NULL, death_time, excluded.death_time)`,
		proc, p.subject, int64(p.first), int64(p.last), p.seen, text(p.birth), p.birthTime, text(p.beat), text(p.death), p.deathTime)
}

// unknown turns a number that stands for "not known" into NULL.
func unknown(n, none int64) driver.Value {
	if n == none {
		return nil
	}
	return n
}

func orNull(s string) driver.Value {
	if s == "" {
		return nil
	}
	return s
}

// depth is SQL for the number of steps of a position.
func depth(column string) string {
	return "(iif(" + column + " = '', 0, 1 + length(" + column + ") - length(replace(" + column + ", '.', ''))))"
}

var writeCause = `INSERT INTO tasks(trace, pos, subject, seen, cause, cause_pos) VALUES(?, ?, 0, ?, ?, ?)
	ON CONFLICT DO UPDATE SET cause = excluded.cause, cause_pos = excluded.cause_pos
	WHERE cause_pos IS NULL OR ` + depth("excluded.cause_pos") + ` > ` + depth("cause_pos")

// write changes the row of an outermost task.
func (c *taskChange) write(d *db) error {
	switch c.kind {
	case changeStart:
		return d.exec(`INSERT INTO tasks(trace, pos, subject, path, seen, started) VALUES(?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET subject = excluded.subject, path = excluded.path, seen = max(seen, excluded.seen), started = coalesce(excluded.started, started)`,
			c.trace[:], c.root, c.subject, orNull(c.path), c.seen, unknown(c.started, 0))
	case changeEnd:
		return d.exec(`INSERT INTO tasks(trace, pos, subject, path, seen, started, ended, elapsed, outcome, error) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET subject = excluded.subject, path = excluded.path, seen = max(seen, excluded.seen), started = coalesce(started, excluded.started),
				ended = excluded.ended, elapsed = excluded.elapsed, outcome = excluded.outcome, error = excluded.error`,
			c.trace[:], c.root, c.subject, orNull(c.path), c.seen, unknown(c.started, 0), unknown(c.ended, 0), unknown(c.elapsed, -1), c.outcome, orNull(c.error))
	}
	return d.exec(writeCause, c.trace[:], c.root, c.seen, c.error, c.pos)
}
