package file

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

const (
	stateSuffix  = ".state"
	stateVersion = 2 // 1 had Length and Committed only
)

// state is the content of FILE.state: one JSON object.
type state struct {
	Version int `json:"version"`
	// Length is how many bytes of the file are committed.
	Length int64 `json:"length"`
	// Tail tells the file from others by its last bytes before Length, File by what the system knows it by; empty where it is
	// not known.
	Tail string `json:"tail,omitempty"`
	File string `json:"file,omitempty"`
	// Begun is when the first line was committed to it, Number that of the last file rotated.
	Begun  time.Time `json:"begun,omitzero"`
	Number uint64    `json:"number,omitempty"`
	// Committed is how far all files together reach in the stream.
	Committed sink.Committed `json:"committed"`
}

func readState(path string) (state, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return state{}, fmt.Errorf("read state: %w", err)
	}
	st, err := parseState(b)
	if err != nil {
		return state{}, fmt.Errorf("read state: %s %w", path, err)
	}
	return st, nil
}

func parseState(b []byte) (state, error) {
	var st state
	if err := json.Unmarshal(b, &st); err != nil || st.Length < 0 {
		return state{}, fmt.Errorf("is damaged; without it the stream is read from its beginning: %w", errors.Join(err, errDamaged))
	}
	if st.Version < 1 || st.Version > stateVersion {
		return state{}, fmt.Errorf("has version %d, this program reads up to %d", st.Version, stateVersion)
	}
	return st, nil
}

var errDamaged = errors.New("not a state")

// writeState replaces the state as a whole: after a crash at any moment the old or the new one stands there.
func writeState(d disk, path string, st state) error {
	st.Version = stateVersion
	b, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	aside := path + ".new"
	if err := writeSynced(d, aside, append(b, '\n')); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := d.rename(aside, path); err != nil {
		return fmt.Errorf("replace state: %w", err)
	}
	if err := d.syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("sync directory of %s: %w", path, err)
	}
	return nil
}

func writeSynced(d disk, path string, b []byte) error {
	f, err := d.open(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if err := d.write(f, b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := d.sync(f); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}

// tailSize is how much of a file's end tells it from others.
const tailSize = 4096

// tail is the last tailSize bytes of what is committed to a file.
type tail []byte

// then returns the tail after b was appended. It does not touch t.
func (t tail) then(b []byte) tail {
	if len(b) >= tailSize {
		return append(tail(nil), b[len(b)-tailSize:]...)
	}
	keep := t[max(0, len(t)+len(b)-tailSize):]
	return append(append(make(tail, 0, tailSize), keep...), b...)
}

// sum is what a state says of it.
func (t tail) sum() string {
	h := sha256.Sum256(t)
	return hex.EncodeToString(h[:16])
}

// readTail reads what stands before length.
func readTail(f io.ReaderAt, length int64) (tail, error) {
	t := make(tail, min(length, tailSize))
	if _, err := f.ReadAt(t, length-int64(len(t))); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read file: %w", err)
	}
	return t, nil
}

// speaksOf reports whether f is the file that the state speaks of, as far as that can be seen.
func (st state) speaksOf(f *os.File) (bool, error) {
	info, err := f.Stat()
	if err != nil {
		return false, fmt.Errorf("ask for size of file: %w", err)
	}
	if info.Size() < st.Length {
		return false, nil
	}
	if st.Length == 0 { // nothing to tell it by but its identity
		id := idOf(f)
		return st.File == "" || st.File == id || id == "" && info.Size() == 0, nil
	}
	if st.Tail == "" {
		return true, nil
	}
	t, err := readTail(f, st.Length)
	return err == nil && t.sum() == st.Tail, err
}
