package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/klauspost/compress/zstd"
)

// keep removes and compresses rotated files: at the start, because a process may have died over it, and whenever there is one more.
func (k *file) keep(ctx context.Context) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	for {
		k.tidy(ctx)
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-tick.C:
		}
	}
}

// tidy goes once through the rotated files. It is used by one goroutine.
func (k *file) tidy(ctx context.Context) {
	gens, leftovers, err := k.names.list()
	if err == nil {
		gens, err = k.retain(gens, leftovers)
	}
	if err != nil {
		k.meter.trouble(doRemove, fmt.Errorf("remove old files: %w", err))
	} else {
		k.meter.well(doRemove)
	}
	if k.cfg.Compress == "none" {
		return
	}
	for _, g := range gens {
		if !g.plain || k.isOpen(g.path) {
			continue
		}
		err := k.compress(ctx, g)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			k.meter.trouble(doCompress, full(k.path, fmt.Errorf("compress %s: %w", g.path, err)))
			return // of the next one the same is to be expected
		}
		k.meter.well(doCompress)
	}
}

// isOpen reports whether path is the file in use: somebody may have given it any name, the moment before it is followed.
func (k *file) isOpen(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return true // it is gone: nothing to compress
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.f == nil {
		return false
	}
	mine, err := k.f.Stat()
	return err != nil || os.SameFile(mine, info)
}

// retain removes what compressions left behind and the oldest files that are too many, and returns those that stay.
func (k *file) retain(gens []generation, leftovers []string) ([]generation, error) {
	var errs []error
	for _, path := range leftovers {
		errs = append(errs, k.gone(path))
	}
	sum := k.length()
	for _, g := range gens {
		sum += g.size
	}
	removed := 0
	for len(gens) > 0 && k.tooMuch(gens, sum) && errors.Join(errs...) == nil {
		g := gens[0]
		errs = append(errs, k.gone(g.path), k.gone(g.path+packSuffix))
		k.meter.removed.Inc()
		removed++
		sum -= g.size
		gens = gens[1:]
	}
	if removed > 0 {
		errs = append(errs, k.disk.syncDir(k.names.dir))
		k.meter.log.Info().Str("file", k.path).Int("removed", removed).Msg("removed rotated files that the keep_ settings do not keep")
	}
	return gens, errors.Join(errs...)
}

func (k *file) length() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state.Length
}

func (k *file) tooMuch(gens []generation, sum int64) bool {
	c := &k.cfg
	return c.KeepFiles > 0 && len(gens) > c.KeepFiles ||
		c.KeepBytes > 0 && sum > int64(c.KeepBytes) ||
		c.KeepAge > 0 && gens[0].at.Before(k.now().Add(-time.Duration(c.KeepAge)))
}

func (k *file) gone(path string) error {
	if err := k.disk.remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// compress replaces the plain form of a rotated file by the packed one. Where both stand there already, after a crash, the packed one is
// taken only if it holds the same.
func (k *file) compress(ctx context.Context, g generation) error {
	plain, err := os.Open(g.path)
	if err != nil {
		return err
	}
	defer plain.Close()
	if !g.packed || k.same(ctx, plain, g.path+packSuffix) != nil {
		if err := k.pack(ctx, plain, g.path+packSuffix); err != nil {
			return err
		}
	}
	if err := errors.Join(k.disk.remove(g.path), k.disk.syncDir(k.names.dir)); err != nil {
		return err
	}
	k.meter.compressions.Inc()
	return nil
}

// pack writes the packed form aside, reads it back and gives it its name.
func (k *file) pack(ctx context.Context, plain *os.File, path string) (err error) {
	aside := path + asideSuffix
	info, err := plain.Stat()
	if err != nil {
		return err
	}
	to, err := k.disk.open(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, k.mode)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.gone(aside))
		}
	}()
	err = errors.Join(inherit(to, info), k.squeeze(ctx, to, plain, info.Size()))
	if err == nil {
		err = k.disk.sync(to)
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := k.same(ctx, plain, aside); err != nil {
		return err
	}
	if err := k.disk.rename(aside, path); err != nil {
		return err
	}
	return k.disk.syncDir(k.names.dir)
}

// onDisk is an io.Writer to a file, and an io.Reader that ends with a context.
type onDisk struct {
	disk disk
	f    *os.File
}

func (w onDisk) Write(b []byte) (int, error) {
	if err := w.disk.write(w.f, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

type until struct {
	ctx context.Context
	r   io.Reader
}

func (u until) Read(b []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(b)
}

func (k *file) squeeze(ctx context.Context, to, plain *os.File, size int64) error {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
	if err != nil {
		return err
	}
	enc.ResetContentSize(onDisk{k.disk, to}, size)
	_, err = io.Copy(enc, until{ctx, io.NewSectionReader(plain, 0, size)})
	return errors.Join(err, enc.Close())
}

var errOther = errors.New("the compressed file does not hold the same as the plain one")

// same compares the two forms.
func (k *file) same(ctx context.Context, plain *os.File, packed string) error {
	f, err := os.Open(packed)
	if err != nil {
		return err
	}
	defer f.Close()
	dec, err := unpack(f)
	if err != nil {
		return err
	}
	defer dec.Close()
	info, err := plain.Stat()
	if err != nil {
		return err
	}
	a, b := until{ctx, io.NewSectionReader(plain, 0, info.Size())}, dec.IOReadCloser()
	one, two := make([]byte, 1<<18), make([]byte, 1<<18)
	for {
		n, errA := io.ReadFull(a, one)
		m, errB := io.ReadFull(b, two)
		if n != m || !bytes.Equal(one[:n], two[:m]) {
			return errors.Join(errOther, ctx.Err())
		}
		if errA != nil || errB != nil {
			return ended(errA, errB)
		}
	}
}

// ended is nil where both readers came to their end.
func ended(errs ...error) error {
	for _, err := range errs {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
	}
	return nil
}

func unpack(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true))
}
