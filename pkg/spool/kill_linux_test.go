package spool_test

import (
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/spool"
)

// TestLockAcrossPIDNamespaces: a process in a PID namespace of its own, as in a container beside an agent, is left alone while it
// lives, and adopted when it is dead.
func TestLockAcrossPIDNamespaces(t *testing.T) {
	dir, ledger := t.TempDir(), filepath.Join(t.TempDir(), "ledger")
	if err := os.WriteFile(ledger, make([]byte, 8*killGoroutines), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := childCommand("say", dir, ledger, "mapped")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("NOT RUN: no PID namespace can be made here: %v", err)
	}
	_, err = io.CopyN(io.Discard, out, 10)
	all, bad := spool.Adopt(dir)
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // it was killed: the error says so
	if err != nil || bad != nil || len(all) > 0 {
		t.Fatalf("adopted %d of a living process: %v, %v", len(all), bad, err)
	}
	a := adoptOne(t, dir)
	n := 0
	drain(t, a, func(spool.Item) { n++ })
	if n < 100 {
		t.Errorf("%d entries", n)
	}
	mustClose(t, a)
}
