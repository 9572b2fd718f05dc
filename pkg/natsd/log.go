package natsd

import (
	"fmt"
	"sync"

	"github.com/rs/zerolog"
)

// adapter hands the server's messages to a zerolog logger. What the server calls fatal does not end the process: the first such
// message is kept, and Start returns it.
type adapter struct {
	log zerolog.Logger

	mu    sync.Mutex // guards fatal
	fatal string
}

func (a *adapter) Noticef(format string, v ...any) { a.log.Debug().Msgf(format, v...) }
func (a *adapter) Warnf(format string, v ...any)   { a.log.Warn().Msgf(format, v...) }
func (a *adapter) Errorf(format string, v ...any)  { a.log.Error().Msgf(format, v...) }
func (a *adapter) Debugf(format string, v ...any)  { a.log.Debug().Msgf(format, v...) }
func (a *adapter) Tracef(format string, v ...any)  { a.log.Trace().Msgf(format, v...) }

func (a *adapter) Fatalf(format string, v ...any) {
	a.mu.Lock()
	if a.fatal == "" {
		a.fatal = fmt.Sprintf(format, v...)
	}
	a.mu.Unlock()
	a.log.WithLevel(zerolog.FatalLevel).Msgf(format, v...)
}

func (a *adapter) firstFatal() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fatal
}
