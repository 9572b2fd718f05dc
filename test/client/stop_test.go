//go:build unix

package client

import (
	"syscall"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/transport"
)

func TestServerStopped(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	under(t, s, s.url(), func(tr *transport.Transport) {
		pause(300 * time.Millisecond)
		for range 2 {
			if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			pause(3 * time.Second)
			if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			pause(200 * time.Millisecond)
		}
		if tr.Stats().Resends == 0 {
			t.Error("no pack was resent")
		}
	})
}
