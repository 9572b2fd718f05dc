package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// readSize is how much is read at once, in bytes.
const readSize = 64 << 10

// Pipe says what is read.
type Pipe struct {
	// Format says which lines are looked for. Default Auto.
	Format Format
	// In is what is read, to its end.
	In io.Reader
	// Echo gets what is read, at once and unchanged. Default: nowhere.
	Echo io.Writer
	// Grace is how long reading goes on after ctx has ended: a program that was told to stop at the same time has its last words. Default 2 s;
	// negative is none.
	Grace time.Duration
}

const defaultGrace = 2 * time.Second

// Pipe reads lines and writes an entry for each until In ends. The error says why In could not be read to its end, or that Echo
// could not be written; reading goes on without it.
func (o *Outlet) Pipe(ctx context.Context, p Pipe) error {
	if p.Grace == 0 {
		p.Grace = defaultGrace
	}
	s := o.newStream(context.Background(), p.Format, "")
	done := make(chan error, 1)
	go func() { done <- s.copy(p.In, p.Echo) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace := time.NewTimer(p.Grace)
	defer grace.Stop()
	select {
	case err := <-done:
		return err
	case <-grace.C:
		// The goroutine may be in a Read that nothing ends, of a terminal say; what it would still write is not taken once Close was called.
		s.end()
		return nil
	}
}

// copy reads in to its end.
func (s *stream) copy(in io.Reader, echo io.Writer) error {
	buf := make([]byte, readSize)
	var echoErr error
	for {
		n, err := in.Read(buf)
		if n > 0 && echo != nil && echoErr == nil {
			if _, echoErr = echo.Write(buf[:n]); echoErr != nil {
				echoErr = fmt.Errorf("write output: %w", echoErr)
			}
		}
		s.write(buf[:n])
		if err == nil {
			continue
		}
		s.end()
		if errors.Is(err, io.EOF) {
			return echoErr
		}
		return errors.Join(fmt.Errorf("read input: %w", err), echoErr)
	}
}
