package store

import (
	"errors"
	"fmt"
	"path/filepath"
)

const (
	// applicationID is "dlog" in the file's header, so that file(1) and SQLite know whose file it is.
	applicationID = 0x646c6f67
	// Version is the format this package writes. It reads all from 1 up to it.
	Version = 1
)

// schema of one day. docs/store.md is its manual; times are milliseconds since 1970 by the stream's clock where nothing else is said.
const schema = `
CREATE TABLE state(
	one INTEGER PRIMARY KEY CHECK(one = 1),
	commits INTEGER NOT NULL,          -- counts the commits of the whole store: the file with the greatest number holds the position
	position TEXT NOT NULL,            -- how far in the stream, JSON
	entries INTEGER NOT NULL,
	last_block INTEGER NOT NULL,
	crc INTEGER NOT NULL               -- CRC-32C of the other columns as text, a space between them
);
CREATE TABLE subjects(
	id INTEGER PRIMARY KEY, subject TEXT NOT NULL,
	crc INTEGER NOT NULL               -- CRC-32C of the subject: the blocks have checksums of their own
);
CREATE TABLE blocks(
	id INTEGER PRIMARY KEY,            -- in the order of the stream
	entries INTEGER NOT NULL,
	bytes INTEGER NOT NULL,            -- of the lines, with line ends
	first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
	first_time INTEGER NOT NULL, last_time INTEGER NOT NULL,
	flags INTEGER NOT NULL
);
CREATE TABLE data(
	block INTEGER PRIMARY KEY,
	heads BLOB NOT NULL,               -- zstd: subject, sequence and time of each entry
	lines BLOB NOT NULL                -- zstd: the entries, NDJSON
);
CREATE TABLE words(block INTEGER PRIMARY KEY, filter BLOB NOT NULL);
CREATE TABLE traces(
	trace BLOB NOT NULL, block INTEGER NOT NULL,
	entries INTEGER NOT NULL, errors INTEGER NOT NULL,
	PRIMARY KEY(trace, block)
) WITHOUT ROWID;
CREATE TABLE identities(
	proc INTEGER NOT NULL, last INTEGER NOT NULL, block INTEGER NOT NULL, first INTEGER NOT NULL,
	runs BLOB,                         -- NULL: all numbers from first to last
	PRIMARY KEY(proc, last, block)
) WITHOUT ROWID;
CREATE TABLE processes(
	proc INTEGER PRIMARY KEY,
	subject INTEGER NOT NULL,          -- of its first entry here: names the service
	first INTEGER NOT NULL, last INTEGER NOT NULL, -- numbers
	seen INTEGER NOT NULL,             -- time of its last entry
	birth TEXT, birth_time INTEGER, beat TEXT, death TEXT, death_time INTEGER
);
CREATE TABLE tasks(
	trace BLOB NOT NULL, pos TEXT NOT NULL,
	subject INTEGER NOT NULL,          -- of its start or end: service and path
	path TEXT,                         -- where the subject does not tell all of it
	seen INTEGER NOT NULL,             -- time of the last entry that changed this row
	started INTEGER, ended INTEGER,    -- microseconds by the writer's clock
	elapsed INTEGER,                   -- microseconds
	outcome TEXT,                      -- NULL: no end here
	error TEXT,
	cause TEXT, cause_pos TEXT,        -- the deepest task that failed
	PRIMARY KEY(trace, pos)
) WITHOUT ROWID;
CREATE INDEX tasks_to_look_at ON tasks(seen) WHERE outcome IS NOT 'succeeded';
CREATE TABLE counts(
	minute INTEGER NOT NULL,           -- since 1970
	service TEXT NOT NULL, level TEXT NOT NULL, event TEXT NOT NULL, outcome TEXT NOT NULL,
	entries INTEGER NOT NULL, bytes INTEGER NOT NULL,
	PRIMARY KEY(minute, service, level, event, outcome)
) WITHOUT ROWID;
CREATE TABLE durations(
	subject INTEGER NOT NULL, bucket INTEGER NOT NULL, -- 2^(bucket/8) microseconds
	tasks INTEGER NOT NULL,
	PRIMARY KEY(subject, bucket)
) WITHOUT ROWID;

CREATE VIEW block_list AS SELECT
	id, entries, bytes, length(lines) AS stored, first_seq, last_seq,
	strftime('%Y-%m-%dT%H:%M:%fZ', first_time / 1000.0, 'unixepoch') AS first_time,
	strftime('%Y-%m-%dT%H:%M:%fZ', last_time / 1000.0, 'unixepoch') AS last_time
	FROM blocks JOIN data ON block = id;
CREATE VIEW trace_blocks AS SELECT lower(hex(trace)) AS trace, block, entries, errors FROM traces;
CREATE VIEW task_list AS SELECT
	lower(hex(trace)) AS trace, pos, subject.subject AS subject, path,
	strftime('%Y-%m-%dT%H:%M:%fZ', started / 1000000.0, 'unixepoch') AS started,
	elapsed / 1000.0 AS elapsed_ms, coalesce(outcome, 'running') AS outcome, error, coalesce(cause, error) AS cause,
	(SELECT sum(entries) FROM traces WHERE traces.trace = tasks.trace) AS entries,
	(SELECT sum(errors) FROM traces WHERE traces.trace = tasks.trace) AS errors
	FROM tasks JOIN subjects AS subject ON subject.id = tasks.subject;
CREATE VIEW counts_by_minute AS SELECT
	strftime('%Y-%m-%dT%H:%MZ', minute * 60, 'unixepoch') AS minute, service, level, event, outcome, entries, bytes FROM counts;
CREATE VIEW process_list AS SELECT
	printf('%016x', proc) AS proc, subject.subject AS subject, first, last,
	strftime('%Y-%m-%dT%H:%M:%fZ', seen / 1000.0, 'unixepoch') AS seen, birth, death
	FROM processes JOIN subjects AS subject ON subject.id = processes.subject;
`

// VersionError says that a file was written by a newer program.
type VersionError struct {
	File string
	Has  int
}

// Error says what to do.
func (e *VersionError) Error() string {
	return fmt.Sprintf("%s has version %d of the store's format, this program reads up to %d: use a newer dlog", filepath.Base(e.File), e.Has, Version)
}

// errForeign means that a file is an SQLite file of somebody else's.
var errForeign = errors.New("not a file of dlog's store")

// create makes the tables of an empty file: all or none.
func create(d *db) error {
	for _, p := range []string{
		"PRAGMA page_size = 4096",
		"PRAGMA auto_vacuum = INCREMENTAL", // merged blocks free pages, which the sealed file need not keep
		"PRAGMA journal_mode = WAL",
	} {
		if _, err := d.one(p); err != nil {
			return err
		}
	}
	return d.transaction("BEGIN IMMEDIATE", func() error {
		if err := d.script(schema); err != nil {
			return err
		}
		if err := d.exec(fmt.Sprintf("PRAGMA application_id = %d", applicationID)); err != nil {
			return err
		}
		return d.exec(fmt.Sprintf("PRAGMA user_version = %d", Version))
	})
}

// version returns a file's format version; 0 is a file that was being made when its maker died, and holds nothing.
func version(d *db, path string) (v int, err error) {
	// In one transaction, because its maker may be at work this moment.
	err = d.transaction("BEGIN", func() error {
		v, err = readVersion(d, path)
		return err
	})
	return v, err
}

func readVersion(d *db, path string) (int, error) {
	app, err := d.number("PRAGMA application_id")
	if err != nil {
		return 0, err
	}
	v, err := d.number("PRAGMA user_version")
	if err != nil {
		return 0, err
	}
	switch {
	case app == 0 && v == 0:
		n, err := d.number("SELECT count(*) FROM sqlite_schema")
		if err == nil && n > 0 {
			err = errForeign
		}
		return 0, err
	case app != applicationID || v < 1:
		return 0, errForeign
	case v > Version:
		return 0, &VersionError{File: path, Has: int(v)}
	}
	return int(v), nil
}
