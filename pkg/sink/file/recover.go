package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// recover reads the state and brings the files to it.
func (k *file) recover() error {
	info, err := k.f.Stat()
	if err != nil {
		return fmt.Errorf("ask for size of file: %w", err)
	}
	st, err := readState(k.path + stateSuffix)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// Nothing of what stands there is ours, and nothing of it is cut. The state is written before the first line, or a crash
		// in the first commit would leave lines that no state knows.
		return k.adopt(k.f, state{})
	case err != nil:
		return err
	}
	mine, err := st.speaksOf(k.f)
	if err != nil {
		return err
	}
	if mine {
		return k.resume(st, info.Size())
	}
	if err := k.leave(st, info.Size()); err != nil {
		return err
	}
	return k.adopt(k.f, st)
}

// resume goes on in the file that the state speaks of.
func (k *file) resume(st state, size int64) (err error) {
	k.state = st
	if k.tail, err = readTail(k.f, st.Length); err != nil {
		return err
	}
	if size > st.Length {
		if err := k.disk.truncate(k.f, st.Length); err != nil {
			return fmt.Errorf("cut what was not committed: %w", err)
		}
		k.meter.log.Info().Str("file", k.path).Int64("bytes", size-st.Length).Msg("cut off what was not committed")
	}
	id, sum := idOf(k.f), k.tail.sum()
	if st.Version == stateVersion && st.File == id && st.Tail == sum {
		return nil
	}
	k.state.File, k.state.Tail = id, sum // an older version's, or the file was put back from a copy
	return writeState(k.disk, k.path+stateSuffix, k.state)
}

// leave cuts off what was not committed from the file that the state speaks of, where FILE is another one now or was cut short: the
// process died while it rotated, or somebody else moved the file.
func (k *file) leave(st state, size int64) error {
	home, err := k.home(st)
	switch {
	case err != nil:
		return err
	case home != "" && k.rotated(home):
		k.meter.log.Info().Str("file", home).Msg("a rotation that did not end is complete")
	case home != "":
		k.meter.moves.Inc()
		k.meter.log.Warn().Str("file", k.path).Str("moved_to", home).Msg("somebody moved the file: going on in a new one")
	case st.File != "" && st.File == idOf(k.f), size > 0:
		k.meter.cuts.Inc()
		k.meter.log.Warn().Str("file", k.path).Int64("length", size).Int64("committed", st.Length).
			Msg("the file is shorter than what was committed, or another one: somebody cut or replaced it: going on at its end")
		return nil
	default:
		k.meter.moves.Inc()
		k.meter.log.Warn().Str("file", k.path).Int64("committed", st.Length).Msg("somebody removed the file, or moved it to another directory: going on in a new one")
		return nil
	}
	return k.cutAt(home, st.Length)
}

func (k *file) rotated(path string) bool {
	_, packed, ok := k.names.parse(filepath.Base(path))
	return ok && !packed
}

// home looks in the directory for the file that the state speaks of, and returns "" if it is not there.
func (k *file) home(st state) (string, error) {
	entries, err := os.ReadDir(k.names.dir)
	if err != nil {
		return "", fmt.Errorf("read directory: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(k.names.dir, e.Name())
		if !e.Type().IsRegular() || path == k.path || strings.HasPrefix(path, k.path+stateSuffix) {
			continue
		}
		g, packed, ok := k.names.parse(e.Name())
		ours := ok && !packed && g.number == st.Number+1 && st.Length > 0
		if !ours && (st.File == "" || idAt(path) != st.File) {
			continue
		}
		if is, err := spoken(st, path); is || err != nil {
			return path, err
		}
	}
	return "", nil
}

func spoken(st state, path string) (bool, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for file: %w", err)
	}
	defer f.Close()
	return st.speaksOf(f)
}

func (k *file) cutAt(path string, length int64) error {
	if info, err := os.Stat(path); err == nil && info.Size() == length {
		return nil
	}
	f, err := k.disk.open(path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cut what was not committed: %w", err)
	}
	if err := errors.Join(k.disk.truncate(f, length), f.Close()); err != nil {
		return fmt.Errorf("cut what was not committed: %w", err)
	}
	k.meter.log.Info().Str("file", path).Msg("cut off what was not committed")
	return nil
}

// adopt makes what stands in f the beginning of what is ours, at the position of st. Its last line may have no end: lines begin on
// lines of their own.
func (k *file) adopt(f *os.File, st state) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("ask for size of file: %w", err)
	}
	size := info.Size()
	end, err := readTail(f, size)
	if err != nil {
		return err
	}
	if size > 0 && end[len(end)-1] != '\n' {
		if err := errors.Join(k.disk.write(f, []byte{'\n'}), k.disk.sync(f)); err != nil {
			return fmt.Errorf("append to file: %w", err)
		}
		size, end = size+1, end.then([]byte{'\n'})
	}
	next := state{Length: size, Tail: end.sum(), File: idOf(f), Number: st.Number, Committed: st.Committed}
	if size > 0 {
		next.Begun = k.now().UTC()
	}
	if next.Number, err = k.lastNumber(st.Number); err != nil {
		return err
	}
	if err := k.disk.syncDir(k.names.dir); err != nil {
		return fmt.Errorf("sync directory of %s: %w", k.path, err)
	}
	if err := writeState(k.disk, k.path+stateSuffix, next); err != nil {
		return err
	}
	k.state, k.tail = next, end
	return nil
}

// lastNumber is the greatest number in use: the state's, or one in the directory if the state is new or from a backup.
func (k *file) lastNumber(n uint64) (uint64, error) {
	gens, _, err := k.names.list()
	if err != nil {
		return 0, fmt.Errorf("read directory: %w", err)
	}
	if len(gens) > 0 {
		n = max(n, gens[len(gens)-1].number)
	}
	return n, nil
}

// cut says that somebody cut the file to length, and is the state after it.
func (k *file) cut(length int64) {
	k.meter.cuts.Inc()
	k.meter.log.Warn().Str("file", k.path).Int64("length", length).Int64("committed", k.state.Length).
		Msg("somebody cut the file short: going on at its end; lines written just before may be missing from his copy")
}
