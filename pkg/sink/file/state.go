package file

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dlog-fabric/dlog/pkg/sink"
)

const (
	stateSuffix  = ".state"
	stateVersion = 1
)

// state is the content of FILE.state: one JSON object.
type state struct {
	Version int `json:"version"`
	// Length is how many bytes of the file are committed.
	Length int64 `json:"length"`
	// Committed is how far they reach in the stream.
	Committed sink.Committed `json:"committed"`
}

func readState(path string) (state, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return state{}, fmt.Errorf("read state: %w", err)
	}
	var st state
	if err := json.Unmarshal(b, &st); err != nil || st.Length < 0 {
		return state{}, fmt.Errorf("read state: %s is damaged; without it the stream is read from its beginning: %w", path, errors.Join(err, errDamaged))
	}
	if st.Version != stateVersion {
		return state{}, fmt.Errorf("read state: %s has version %d, this program reads %d", path, st.Version, stateVersion)
	}
	return st, nil
}

var errDamaged = errors.New("not a state")

// writeState replaces the state as a whole: after a crash at any moment the old or the new one stands there.
func writeState(path string, st state) error {
	b, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	aside := path + ".new"
	if err := writeSynced(aside, append(b, '\n')); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(aside, path); err != nil {
		return fmt.Errorf("replace state: %w", err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return fmt.Errorf("sync directory of %s: %w", path, err)
	}
	return nil
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
