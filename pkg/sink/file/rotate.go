package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

const (
	nextSuffix = ".next"
	lookEvery  = 500 * time.Millisecond // a file that was moved away is followed within a second
	tidyEvery  = time.Minute            // files grow too old without anything happening

	rotateAgain = 5 * time.Second // after a rotation that could not begin
)

// start begins to look after the files; Close ends that.
func (k *file) start() {
	ctx, cancel := context.WithCancel(context.Background())
	k.stop = cancel
	k.helpers.Go(func() { k.watch(ctx) })
	k.helpers.Go(func() { k.keep(ctx) })
}

// watch looks at the clock and at what others do, also while no entries come.
func (k *file) watch(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.look()
		}
	}
}

func (k *file) look() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.f == nil || k.seen == nil {
		return
	}
	err := k.settle()
	if err == nil && k.due(0) {
		err = k.rotate()
	}
	if err != nil {
		k.seen = nil // the next commit ends with an error, and the file is opened anew
		k.meter.trouble(doFollow, full(k.path, err))
	}
}

// settle follows FILE when somebody moved or cut it. An error means that the file must be opened anew; where nothing has
// changed, because what is new cannot be opened, the trouble is said and the old file kept.
func (k *file) settle() error {
	there, err := k.inPlace()
	if err == nil && !there {
		err = k.follow()
	}
	if err != nil && k.seen != nil {
		k.meter.trouble(doFollow, err)
		err = nil
	} else if err == nil {
		k.meter.well(doFollow)
	}
	if err != nil {
		return err
	}
	info, err := k.f.Stat()
	if err != nil {
		return fmt.Errorf("ask for size of file: %w", err)
	}
	if info.Size() < k.state.Length {
		k.cut(info.Size())
		return k.adopt(k.f, k.state)
	}
	return nil
}

// inPlace reports whether FILE is the file that is written to.
func (k *file) inPlace() (bool, error) {
	mine, err := k.f.Stat()
	if err != nil {
		return false, fmt.Errorf("look after file: %w", err)
	}
	there, err := os.Stat(k.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look after file: %w", err)
	}
	return os.SameFile(mine, there), nil
}

// follow opens the file that stands where the one in use was, and lets that go. With an error the old one is kept, unless seen is
// nil: then it is not known which of them the state speaks of.
func (k *file) follow() error {
	f, err := k.openFile()
	if err != nil {
		return fmt.Errorf("follow: %w", err)
	}
	old, said := k.f, k.state
	if err := k.adopt(f, k.state); err != nil {
		k.seen = nil
		return fmt.Errorf("follow: %w", errors.Join(err, f.Close()))
	}
	k.f = f
	k.meter.moves.Inc()
	k.meter.log.Info().Str("file", k.path).Int64("bytes", said.Length).Msg("somebody moved the file: going on in a new one")
	_ = old.Close() // all of it is synced
	return nil
}

// Reopen follows FILE at once and says what is in the way.
func (k *file) Reopen() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.f == nil || k.seen == nil {
		return nil
	}
	if there, err := k.inPlace(); there || err != nil {
		return err
	}
	return full(k.path, k.follow())
}

// due reports whether the file is to be rotated before n more bytes are written to it.
func (k *file) due(n int) bool {
	if k.state.Length == 0 || k.now().Before(k.notBefore) {
		return false
	}
	if size := int64(k.cfg.RotateSize); size > 0 && n > 0 && k.state.Length+int64(n) > size {
		return true
	}
	every := time.Duration(k.cfg.RotateEvery)
	return every > 0 && !k.state.Begun.IsZero() && k.now().Truncate(every).After(k.state.Begun.Truncate(every))
}

// rotate gives FILE a name of its own and begins a new one. All that the old one holds is committed and synced. Where the new one
// cannot be made the old one is kept and the trouble said; an error means that the file must be opened anew.
func (k *file) rotate() error {
	next, err := k.begin()
	if err != nil {
		k.later(fmt.Errorf("rotate: %w", err))
		return nil
	}
	number := k.state.Number + 1
	if changed, err := k.exchange(k.names.name(number, k.now())); err != nil {
		_ = next.Close()
		err = fmt.Errorf("rotate: %w", err)
		if !changed {
			k.later(err)
			return nil
		}
		k.seen = nil
		return err
	}
	st := state{Tail: tail(nil).sum(), File: idOf(next), Number: number, Committed: k.state.Committed}
	if err := writeState(k.disk, k.path+stateSuffix, st); err != nil {
		k.seen = nil
		return fmt.Errorf("rotate: %w", errors.Join(err, next.Close()))
	}
	_ = k.f.Close() // all of it is synced
	k.f, k.state, k.tail = next, st, nil
	k.meter.rotations.Inc()
	k.meter.well(doRotate)
	select {
	case k.wake <- struct{}{}:
	default:
	}
	return nil
}

// later keeps the old file for a while.
func (k *file) later(err error) {
	k.meter.trouble(doRotate, err)
	k.notBefore = k.now().Add(rotateAgain)
}

// begin makes the next file under a name aside.
func (k *file) begin() (*os.File, error) {
	aside := k.path + nextSuffix
	if err := k.disk.remove(aside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	old, err := k.f.Stat()
	if err != nil {
		return nil, err
	}
	f, err := k.disk.open(aside, os.O_RDWR|os.O_APPEND|os.O_CREATE|os.O_EXCL, k.mode)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(inherit(f, old), k.disk.sync(f)); err != nil {
		return nil, errors.Join(err, f.Close(), k.disk.remove(aside))
	}
	return f, nil
}

// exchange renames both. Between the two FILE is not there, and the state still speaks of the old one: Open finds it by its number.
// Unless something has changed, an error leaves FILE as it was.
func (k *file) exchange(to string) (changed bool, err error) {
	if _, err := os.Lstat(to); !errors.Is(err, fs.ErrNotExist) {
		return false, errors.Join(fmt.Errorf("%s is there already", to), err)
	}
	if err := k.disk.rename(k.path, to); err != nil {
		return false, err
	}
	if err := k.disk.rename(k.path+nextSuffix, k.path); err != nil {
		back := k.disk.rename(to, k.path)
		return back != nil, errors.Join(err, back)
	}
	return true, k.disk.syncDir(k.names.dir)
}
