package sink

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// ReopenOnHangup calls Reopen at each SIGHUP, as who has moved files away expects of a program, and logs what fails. It listens
// from now on until the returned function is called, which waits for a call that runs. Systems without that signal never send it.
func (g *Group) ReopenOnHangup() (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var listener sync.WaitGroup
	listener.Go(func() {
		for range hangups {
			if err := g.Reopen(); err != nil {
				g.log.Error().Err(err).Msg("SIGHUP: the old files are kept")
				continue
			}
			g.log.Info().Msg("SIGHUP: files are reopened where they were moved")
		}
	})
	return func() {
		signal.Stop(hangups)
		close(hangups)
		listener.Wait()
	}
}
