package dloghttp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// Handler makes a task of each request that next serves. Where next is an [http.ServeMux] or another handler with Handler(*http.Request), that is asked for
// the pattern; below a mux of its own, a handler sees the pattern in the request.
func Handler(d *dlog.Client, next http.Handler, opts ...Option) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return &handler{d: d, next: next, options: optionsOf(opts)}
}

type handler struct {
	d    *dlog.Client
	next http.Handler
	options
}

// muxer is what [http.ServeMux] has: it tells the pattern without serving.
type muxer interface {
	Handler(*http.Request) (http.Handler, string)
}

// ServeHTTP implements [http.Handler].
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.d == nil || h.skip != nil && h.skip(r) {
		h.next.ServeHTTP(w, r)
		return
	}
	ctx, t := h.begin(r)
	rec := &recorder{ResponseWriter: w}
	returned := false
	defer func() {
		if !returned {
			h.panicked(t, rec, recover())
			return
		}
		t.Add(dlog.Int("status", rec.code()), dlog.Int64("bytes", rec.bytes))
		err := h.verdict(ctx, rec)
		t.End(&err)
	}()
	h.next.ServeHTTP(wrap(rec), r.WithContext(ctx))
	returned = true
}

// panicked ends the task of a handler that did not return, and lets the panic go on; net/http logs it and closes the connection.
func (h *handler) panicked(t *dlog.Task, rec *recorder, v any) {
	if rec.status != 0 {
		t.Add(dlog.Int("status", rec.status))
	}
	switch v {
	case nil: // runtime.Goexit
		err := errGoexit
		t.End(&err)
		return
	case http.ErrAbortHandler: // the way to abort on purpose
		err := http.ErrAbortHandler
		t.End(&err)
	default:
		t.Panicked(v, debug.Stack())
	}
	panic(v)
}

var errGoexit = errors.New("serve request: the goroutine was ended by runtime.Goexit")

func (h *handler) begin(r *http.Request) (context.Context, *dlog.Task) {
	token := incoming(r.Header)
	fields := []dlog.Field{dlog.Str("method", r.Method), dlog.Str("url", path(r)), dlog.Str("peer", r.RemoteAddr)}
	if h.public || !h.d.Trusted(r.RemoteAddr) {
		if token != "" {
			fields = append(fields, dlog.Link(token))
		}
		token = ""
	}
	return h.d.Import(r.Context(), token, h.nameOf(r), fields...)
}

// maxURL bounds what is kept of a request's path.
const maxURL = 1 << 10

// path returns the path that was asked for, without its query: that is where secrets stand.
func path(r *http.Request) string {
	if r.URL == nil {
		return ""
	}
	p := r.URL.Path
	if len(p) > maxURL {
		p = strings.ToValidUTF8(p[:maxURL], "") + "…"
	}
	return p
}

// incoming returns the token of a request, a traceparent where there is no token.
func incoming(h http.Header) string {
	if token := h.Get(task.HeaderTask); token != "" {
		return token
	}
	return h.Get(task.HeaderTraceparent)
}

// nameOf returns the name of a request's task.
func (h *handler) nameOf(r *http.Request) string {
	if h.name != nil {
		if name := h.name(r); name != "" {
			return name
		}
	}
	pattern := r.Pattern
	if m, ok := h.next.(muxer); ok && pattern == "" {
		_, pattern = m.Handler(r)
	}
	switch {
	case pattern == "":
		return method(r)
	case strings.Contains(pattern, " "):
		return pattern
	}
	return method(r) + " " + pattern
}

// method returns the method, or a word for one that the standard does not know: strangers choose it.
func method(r *http.Request) string {
	switch r.Method {
	case "":
		return http.MethodGet
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect,
		http.MethodOptions, http.MethodTrace:
		return r.Method
	}
	return "OTHER"
}

// statusError is the failure that a status tells.
type statusError int

// Error implements error.
func (s statusError) Error() string {
	return fmt.Sprintf("status %d %s", int(s), http.StatusText(int(s)))
}

// verdict says how a request ended whose handler returned.
func (h *handler) verdict(ctx context.Context, rec *recorder) error {
	switch {
	case ctx.Err() != nil: // net/http cancels the context of a request whose client is gone, whatever the handler made of it
		return context.Cause(ctx)
	case h.failed(rec.code()):
		return statusError(rec.code())
	}
	return nil
}
