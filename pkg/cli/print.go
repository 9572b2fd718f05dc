package cli

import (
	"os"
	"time"

	"github.com/dlog-fabric/dlog/pkg/view"
)

// viewOptions say how text is shown where standard output leads: colours and a width on a terminal, neither in a pipe.
func viewOptions(env Env, now time.Time) view.Options {
	o := view.Options{Now: now}
	if f, ok := env.Stdout.(*os.File); ok {
		o.Color = view.UseColor(f, env.Getenv)
		o.Width = view.TerminalWidth(f)
	}
	return o
}
