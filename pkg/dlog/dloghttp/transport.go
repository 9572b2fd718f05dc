package dloghttp

import (
	"net/http"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Transport sends calls through next, nil for [http.DefaultTransport], and hands the task of each call's context over to the server.
// With [Calls] or [Name] each call is a task of its own as well.
func Transport(d *dlog.Client, next http.RoundTripper, opts ...Option) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{d: d, next: next, options: optionsOf(opts)}
}

type transport struct {
	d    *dlog.Client
	next http.RoundTripper
	options
}

// RoundTrip implements [http.RoundTripper].
func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case tr.d == nil || r.URL == nil || tr.skip != nil && tr.skip(r):
		return tr.next.RoundTrip(r)
	case tr.calls || tr.name != nil:
		return tr.call(r)
	}
	t := dlog.TaskFrom(r.Context())
	if t == nil || !tr.d.Inside(r.URL.Host) {
		return tr.next.RoundTrip(r)
	}
	out := r.Clone(r.Context()) // a RoundTripper must not change the request
	setHeaders(out.Header, t, r.URL.Host)
	return tr.next.RoundTrip(out)
}

// call makes a task of the call.
func (tr *transport) call(r *http.Request) (resp *http.Response, err error) {
	ctx, t := tr.d.Start(r.Context(), tr.nameOf(r), dlog.Str("method", r.Method), dlog.Str("host", r.URL.Host), dlog.Str("url", path(r)))
	var verdict error
	defer t.End(&verdict)
	out := r.Clone(ctx)
	if tr.d.Inside(r.URL.Host) {
		setHeaders(out.Header, t, r.URL.Host)
	}
	resp, err = tr.next.RoundTrip(out)
	if err != nil {
		verdict = err
		return resp, err
	}
	t.Add(dlog.Int("status", resp.StatusCode))
	if tr.failed(resp.StatusCode) {
		verdict = statusError(resp.StatusCode)
	}
	return resp, nil
}

// setHeaders passes the task on. A traceparent that is there belongs to another tracing library, and stays.
func setHeaders(h http.Header, t *dlog.Task, host string) {
	token, traceparent := t.Headers(host)
	if token == "" {
		return
	}
	h.Set(task.HeaderTask, token)
	if h.Get(task.HeaderTraceparent) == "" {
		h.Set(task.HeaderTraceparent, traceparent)
	}
}

// nameOf names a call by method and host, without the port: the URL is what varies.
func (tr *transport) nameOf(r *http.Request) string {
	if tr.name != nil {
		if name := tr.name(r); name != "" {
			return name
		}
	}
	return method(r) + " " + r.URL.Hostname()
}
