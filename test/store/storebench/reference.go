package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/store"
)

// reference is what zstd makes of the same lines: of every tenth piece of 1 MiB, or of each where there are few.
type reference struct {
	raw, sampled, packed int64
	tool                 string
	piece                []byte
	pieces               int
}

const pieceSize = 1 << 20

func (r *reference) add(entries []store.Entry) error {
	for i := range entries {
		r.raw += int64(len(entries[i].Line)) + 1
		r.piece = append(append(r.piece, entries[i].Line...), '\n')
		if len(r.piece) >= pieceSize {
			if err := r.pack(r.piece[:pieceSize]); err != nil {
				return err
			}
			r.piece = append(r.piece[:0], r.piece[pieceSize:]...)
		}
	}
	return nil
}

func (r *reference) pack(piece []byte) error {
	if r.pieces++; r.pieces > 300 && r.pieces%10 != 0 {
		return nil
	}
	r.sampled += int64(len(piece))
	if path, err := exec.LookPath("zstd"); err == nil {
		r.tool = "zstd -3"
		cmd := exec.Command(path, "-3", "-c", "-q")
		cmd.Stdin = bytes.NewReader(piece)
		out, err := cmd.Output()
		r.packed += int64(len(out))
		return err
	}
	r.tool = "zstd at the Go library's default level (no zstd command here)"
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		return err
	}
	r.packed += int64(len(enc.EncodeAll(piece, nil)))
	return enc.Close()
}

func (r *reference) close() error {
	if r.packed > 0 || len(r.piece) == 0 {
		return nil
	}
	return r.pack(r.piece)
}

func (r *reference) ratio() float64 { return float64(r.sampled) / float64(max(1, r.packed)) }

// references measures what people have without a store: a row for each entry, and a scan of the lines.
func (c *config) references(ctx context.Context) error {
	if !c.rows {
		return nil
	}
	random, _, _, err := c.sample(ctx)
	if err != nil {
		return err
	}
	random = random[:min(20, len(random))]
	path := filepath.Join(c.dir, "rows.db")
	file := filepath.Join(c.dir, "rows.ndjson")
	defer os.Remove(path)
	defer os.Remove(file)
	db, err := sql.Open("sqlite", path+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{
		"DROP TABLE IF EXISTS entries",
		"CREATE TABLE entries(id INTEGER PRIMARY KEY, time INTEGER, subject TEXT, level TEXT, trace TEXT, line TEXT)",
		"CREATE INDEX by_trace ON entries(trace)", "CREATE INDEX by_time ON entries(time)", "CREATE INDEX by_level ON entries(level, time)",
	} {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	keys := entry.CompileKeys([]string{"level", "dlog.trace"})
	slots := keys.NewSlots()
	var took time.Duration
	err = c.each(func(entries []store.Entry) error {
		for i := range entries {
			if _, err := out.Write(append(bytes.Clone(entries[i].Line), '\n')); err != nil {
				return err
			}
		}
		began := time.Now()
		for len(entries) > 0 {
			k := min(c.batch, len(entries))
			if err := insertRows(ctx, db, keys, slots, entries[:k]); err != nil {
				return err
			}
			entries = entries[k:]
		}
		took += time.Since(began)
		return nil
	})
	if err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	t, err := measure(len(random), func(i int) error {
		rows, err := db.QueryContext(ctx, "SELECT line FROM entries WHERE trace = ? ORDER BY id", random[i].String())
		if err != nil {
			return err
		}
		defer rows.Close()
		var line []byte
		for rows.Next() {
			if err := rows.Scan(&line); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fmt.Printf("reference  SQLite, a row an entry, 3 indexes: %.0f entries/s, %.1f bytes an entry; trace %v\n", float64(c.n)/took.Seconds(), float64(info.Size())/float64(c.n), t)
	return c.scan(random[0].String(), file)
}

func insertRows(ctx context.Context, db *sql.DB, keys *entry.Keys, slots entry.Slots, entries []store.Entry) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after Commit
	st, err := tx.PrepareContext(ctx, "INSERT INTO entries(time, subject, level, trace, line) VALUES(?, ?, ?, ?, ?)")
	if err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if err := keys.Scan(e.Line, slots); err != nil {
			return err
		}
		if _, err := st.ExecContext(ctx, e.Time.UnixMilli(), e.Subject, string(slots[0].Text(nil)), string(slots[1].Text(nil)), e.Line); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// scan is "all entries of this trace" by the tools at hand, for who has all lines in one file and knows the trace.
func (c *config) scan(id, file string) error {
	tool := "grep"
	if _, err := exec.LookPath("rg"); err == nil {
		tool = "rg"
	}
	command := tool + " " + id + " " + file
	if _, err := exec.LookPath("jq"); err == nil {
		command += " | jq -c -s 'sort_by(.time)[]'"
	}
	t, err := measure(5, func(int) error { return exec.Command("sh", "-c", command+" >/dev/null").Run() })
	if err != nil {
		return err
	}
	fmt.Printf("reference  %s (| jq): %v\n", tool, t)
	return nil
}
