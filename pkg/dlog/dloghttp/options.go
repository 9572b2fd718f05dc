package dloghttp

import "net/http"

// Option changes what Handler or Transport do.
type Option func(*options)

type options struct {
	public  bool
	fail4xx bool
	calls   bool
	name    func(*http.Request) string
	skip    func(*http.Request) bool
}

func optionsOf(opts []Option) (o options) {
	for _, opt := range opts {
		if opt != nil {
			opt(&o)
		}
	}
	return o
}

// Public is for a service that strangers call: every request begins a trace of its own, and the token that it came with, if any, is
// kept as a link. For Handler.
func Public() Option { return func(o *options) { o.public = true } }

// Fail4xx counts statuses of 400 and above as failures, not only those of 500 and above.
func Fail4xx() Option { return func(o *options) { o.fail4xx = true } }

// Calls makes a task of each call, named by method and host, with the status: worth its line in the tree where the other side does not log
// through dlog, or the way there is long. For Transport.
func Calls() Option { return func(o *options) { o.calls = true } }

// Name names the tasks, and on a Transport makes them, as [Calls] does. What it returns must come from a small set: routes and operations, never ids. Where it returns "" the usual name stands.
func Name(f func(*http.Request) string) Option { return func(o *options) { o.name = f } }

// Skip leaves out requests for which f is true, health checks for instance: they are served as if dlog were not there.
func Skip(f func(*http.Request) bool) Option { return func(o *options) { o.skip = f } }

// failed reports whether a status is a failure.
func (o *options) failed(status int) bool {
	return status >= http.StatusInternalServerError || o.fail4xx && status >= http.StatusBadRequest
}
