package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// Result codes of SQLite that decide something here (sqlite.org/rescode.html).
const (
	codeBusy    = 5
	codeIOErr   = 10
	codeCorrupt = 11
	codeFull    = 13
	codeNotADB  = 26
)

// db is a connection to one file, for one goroutine at a time. It speaks to the driver itself: the pool of database/sql has nothing to give here
// and costs a microsecond a row.
type db struct {
	conn  driver.Conn
	stmts map[string]statement
	named []driver.NamedValue // reused by bind
}

// statement is what the driver's statements can do.
type statement interface {
	driver.StmtExecContext
	driver.StmtQueryContext
	Close() error
}

// openDB opens a file in a mode of SQLite's URIs: "ro", "rw" or "rwc".
func openDB(path, mode string) (*db, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	abs = filepath.ToSlash(abs)
	if !strings.HasPrefix(abs, "/") { // a drive letter
		abs = "/" + abs
	}
	u := url.URL{Scheme: "file", Path: abs, RawQuery: "mode=" + mode}
	conn, err := new(sqlite.Driver).Open(u.String())
	if err != nil {
		return nil, err
	}
	return &db{conn: conn, stmts: map[string]statement{}}, nil
}

func (d *db) close() error {
	if d == nil || d.conn == nil {
		return nil
	}
	for _, s := range d.stmts {
		_ = s.Close() // what a statement failed with was returned when it ran
	}
	err := d.conn.Close()
	d.conn, d.stmts = nil, nil
	return err
}

// prepare returns the statement for a text, compiled once.
func (d *db) prepare(query string) (statement, error) {
	if s, ok := d.stmts[query]; ok {
		return s, nil
	}
	p, err := d.conn.Prepare(query)
	if err != nil {
		return nil, err
	}
	s, ok := p.(statement)
	if !ok {
		return nil, errors.Join(errors.New("the driver's statements have no contexts"), p.Close())
	}
	d.stmts[query] = s
	return s, nil
}

func (d *db) bind(args []driver.Value) []driver.NamedValue {
	d.named = d.named[:0]
	for i, a := range args {
		d.named = append(d.named, driver.NamedValue{Ordinal: i + 1, Value: a})
	}
	return d.named
}

// exec runs a statement that returns nothing of interest.
func (d *db) exec(query string, args ...driver.Value) error {
	s, err := d.prepare(query)
	if err != nil {
		return err
	}
	_, err = s.ExecContext(context.Background(), d.bind(args))
	return err
}

// script runs several statements that are needed once.
func (d *db) script(text string) error {
	ex, ok := d.conn.(driver.ExecerContext)
	if !ok {
		return errors.New("the driver cannot run scripts")
	}
	_, err := ex.ExecContext(context.Background(), text, nil)
	return err
}

// query calls fn for each row; the row's byte slices are fn's to keep, the row itself is not.
func (d *db) query(fn func(row []driver.Value) error, query string, args ...driver.Value) (err error) {
	s, err := d.prepare(query)
	if err != nil {
		return err
	}
	rows, err := s.QueryContext(context.Background(), d.bind(args))
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(row); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if err := fn(row); err != nil {
			return err
		}
	}
}

// one returns the only row of a query, nil if there is none.
func (d *db) one(query string, args ...driver.Value) ([]driver.Value, error) {
	var out []driver.Value
	err := d.query(func(row []driver.Value) error {
		out = append([]driver.Value(nil), row...)
		return nil
	}, query, args...)
	return out, err
}

// number is one for a query that yields an integer; 0 if there is no row or a NULL.
func (d *db) number(query string, args ...driver.Value) (int64, error) {
	row, err := d.one(query, args...)
	if err != nil || len(row) == 0 {
		return 0, err
	}
	return asInt(row[0]), nil
}

// transaction runs fn between begin ("BEGIN" or "BEGIN IMMEDIATE") and COMMIT. Whatever fails is rolled back.
func (d *db) transaction(begin string, fn func() error) error {
	if err := d.exec(begin); err != nil {
		return err
	}
	err := fn()
	if err == nil {
		err = d.exec("COMMIT")
	}
	if err != nil {
		_ = d.exec("ROLLBACK") // SQLite has rolled back by itself after some errors, then this fails
	}
	return err
}

// A damaged file may hold a value of any type in any column.

func asInt(v driver.Value) int64 {
	n, _ := v.(int64)
	return n
}

func asBytes(v driver.Value) []byte {
	switch v := v.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	return nil
}

func asText(v driver.Value) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	}
	return ""
}

// code returns SQLite's primary result code of an error, 0 if it is none of SQLite's.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// isDamage reports whether an error says that the file is not what was written.
func isDamage(err error) bool {
	switch code(err) {
	case codeCorrupt, codeNotADB, codeIOErr:
		return true
	}
	return errors.Is(err, errBlock)
}
