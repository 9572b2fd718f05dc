package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo terminal of 60 columns: what is written to the second file can be read from the first.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here:", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 60}); err != nil {
		t.Fatal(err)
	}
	return screen, tty
}

// TestProgressOnTerminal: a real one shows it, cut to its width, unless the command prints there itself.
func TestProgressOnTerminal(t *testing.T) {
	screen, tty := terminal(t)
	path := filepath.Join(t.TempDir(), "a.ndjson")
	if err := os.WriteFile(path, make([]byte, 2000), 0o600); err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	dumb := func(name string) string { return map[string]string{"TERM": "dumb"}[name] }
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := func(env Env, live, want bool) {
		t.Helper()
		if p := newProgress(env, []string{path}, live); (p != nil) != want {
			t.Errorf("live %v: progress %v, want %v", live, p != nil, want)
		}
	}
	f(Env{Stdout: tty, Stderr: tty, Getenv: none}, false, true)
	f(Env{Stdout: tty, Stderr: tty, Getenv: none}, true, false)
	f(Env{Stdout: file, Stderr: tty, Getenv: none}, true, true)
	f(Env{Stdout: tty, Stderr: file, Getenv: none}, false, false)
	f(Env{Stdout: tty, Stderr: tty, Getenv: dumb}, false, false)

	p := newProgress(Env{Stdout: tty, Stderr: tty, Getenv: none}, []string{path}, false)
	clock := p.begun.Add(2 * time.Second)
	p.now = func() time.Time { return clock }
	if _, err := p.reader(file).Read(make([]byte, 500)); err != nil {
		t.Fatal(err)
	}
	p.clear()
	fmt.Fprint(tty, "after") // what others write stands at the beginning of an empty line
	buf := make([]byte, 500)
	var got string
	for !strings.HasSuffix(got, "after") {
		n, err := screen.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got += string(buf[:n])
	}
	want := eraseLine + "[######------------------]  25 % of 1.95 KiB, 250 B/s, 6s left"[:59] + eraseLine + "after"
	if got != want {
		t.Errorf("the terminal shows %q, want %q", got, want)
	}
}
