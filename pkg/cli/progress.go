package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/term"

	"github.com/dlog-fabric/dlog/pkg/view"
)

const (
	progressAfter = time.Second            // what takes no longer shows nothing
	progressEvery = 200 * time.Millisecond // between two drawings
	barWidth      = 24
	eraseLine     = "\r\x1b[K"
)

// progress shows on a terminal's standard error how far the reading of files is: a bar, the rate, and the time that remains. A nil
// progress shows nothing; it is nil wherever nobody would see it, or it would stand in the way. Used by one goroutine.
type progress struct {
	out   io.Writer
	width int // of the terminal, in columns
	now   func() time.Time

	total int64 // bytes; 0 where that is not known
	read  int64
	begun time.Time
	drawn time.Time // last
	shown bool      // a line of it stands on the terminal
}

// newProgress makes the progress of reading paths, - among them. live says that the command prints while it reads: on a terminal that
// shows how far it is, and a bar would be torn by it.
func newProgress(env Env, paths []string, live bool) *progress {
	stderr, ok := env.Stderr.(*os.File)
	if !ok || !term.IsTerminal(int(stderr.Fd())) || env.getenv("TERM", "") == "dumb" {
		return nil
	}
	if stdout, ok := env.Stdout.(*os.File); live && ok && term.IsTerminal(int(stdout.Fd())) {
		return nil
	}
	p := &progress{out: stderr, width: view.TerminalWidth(stderr), now: time.Now, total: sizeOf(paths)}
	p.begun = p.now()
	return p
}

// sizeOf adds the files up, 0 if one has no size that is known before its end.
func sizeOf(paths []string) (sum int64) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || !info.Mode().IsRegular() {
			return 0
		}
		sum += info.Size()
	}
	return sum
}

// reader counts what is read from in.
func (p *progress) reader(in io.Reader) io.Reader {
	if p == nil {
		return in
	}
	return counted{in, p}
}

type counted struct {
	in io.Reader
	p  *progress
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.p.add(int64(n))
	return n, err
}

func (p *progress) add(n int64) {
	p.read += n
	now := p.now()
	if now.Sub(p.begun) < progressAfter || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn, p.shown = now, true
	fmt.Fprint(p.out, eraseLine, p.line(now.Sub(p.begun))) // a terminal that is gone is no reason to stop reading
}

// clear takes the line away, for others who write to the terminal. It comes back with what is read next.
func (p *progress) clear() {
	if p != nil && p.shown {
		p.shown = false
		fmt.Fprint(p.out, eraseLine)
	}
}

// line is what is shown after some time, no wider than the terminal.
func (p *progress) line(took time.Duration) string {
	rate := float64(p.read) / took.Seconds()
	var s string
	switch {
	case p.total <= 0 || p.read > p.total:
		s = fmt.Sprintf("read %s, %s/s", bytesText(float64(p.read)), bytesText(rate))
	default:
		done := float64(p.read) / float64(p.total)
		full := int(done * barWidth)
		s = fmt.Sprintf("[%s%s] %3.0f %% of %s, %s/s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), done*100,
			bytesText(float64(p.total)), bytesText(rate))
		if rate > 0 {
			left := time.Duration(float64(p.total-p.read) / rate * float64(time.Second))
			s += fmt.Sprintf(", %v left", left.Round(time.Second))
		}
	}
	if p.width > 1 && len(s) >= p.width {
		s = s[:p.width-1]
	}
	return s
}

// bytesText rounds to three digits: "1.25 GiB", "312 MiB", "17 B".
func bytesText(n float64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	u := 0
	for n >= 1000 && u < len(units)-1 {
		n /= 1024
		u++
	}
	digits := 2
	switch {
	case u == 0 || n >= 100:
		digits = 0
	case n >= 10:
		digits = 1
	}
	return fmt.Sprintf("%.*f %s", digits, n, units[u])
}

// zstdMagic begins every zstd frame (RFC 8878, section 3.1.1).
var zstdMagic = []byte{0x28, 0xb5, 0x2f, 0xfd}

// unpacked reads what the file sink has compressed as if it had not: done gives the decoder free.
func unpacked(in io.Reader) (out io.Reader, done func(), err error) {
	r := bufio.NewReaderSize(in, 1<<18)
	if head, _ := r.Peek(len(zstdMagic)); !bytes.Equal(head, zstdMagic) {
		return r, func() {}, nil
	}
	dec, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return nil, nil, fmt.Errorf("read zstd: %w", err)
	}
	return dec, dec.Close, nil
}
