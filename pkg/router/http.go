package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// web serves /healthz, /readyz and /metrics. Without an address it does nothing.
type web struct {
	listener net.Listener
	server   *http.Server
	done     chan struct{}
	leaving  atomic.Bool
}

// listenHTTP binds the address, so that a taken port is known before anything else is started.
func listenHTTP(addr string) (*web, error) {
	if addr == HTTPOff {
		return &web{}, nil
	}
	if addr == "" {
		addr = DefaultHTTP
	}
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("serve HTTP at %s: the port is taken by another program (--http chooses another address, port 0 any free one, %q none)", addr, HTTPOff)
	}
	if err != nil {
		return nil, fmt.Errorf("serve HTTP: %w", err)
	}
	return &web{listener: l}, nil
}

func (w *web) url() string {
	if w.listener == nil {
		return ""
	}
	return "http://" + w.listener.Addr().String()
}

// serve answers until close.
func (w *web) serve(r *run) {
	if w.listener == nil {
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { tell(rw, r.unhealthy(), "") })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) { tell(rw, r.unready(), r.reloads.warning()) })
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry(r), promhttp.HandlerOpts{}))
	w.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		if err := w.server.Serve(w.listener); !errors.Is(err, http.ErrServerClosed) {
			r.log.Error().Err(err).Msg("HTTP ended")
		}
	}()
}

// leave makes /readyz say that the router is stopping.
func (w *web) leave() { w.leaving.Store(true) }

func (w *web) close() {
	switch {
	case w.server != nil:
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if w.server.Shutdown(ctx) != nil {
			_ = w.server.Close()
		}
		<-w.done
	case w.listener != nil:
		_ = w.listener.Close()
	}
}

// tell answers "ok" and the warning, or 503 with one reason a line.
func tell(rw http.ResponseWriter, reasons []string, warning string) {
	rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
	code := http.StatusServiceUnavailable
	if len(reasons) == 0 {
		code, reasons = http.StatusOK, []string{"ok"}
	}
	if warning != "" {
		reasons = append(reasons, warning)
	}
	rw.WriteHeader(code)
	_, _ = rw.Write([]byte(strings.Join(reasons, "\n") + "\n"))
}

// unhealthy lists what only a restart or an operator can mend.
func (r *run) unhealthy() []string {
	if r.host != nil {
		if err := r.host.server().Health(); err != nil {
			return []string{err.Error()}
		}
	}
	return nil
}

// unready lists why entries are not all taken and routed at this moment.
func (r *run) unready() (all []string) {
	if r.web.leaving.Load() {
		all = append(all, "stopping")
	}
	if !r.nc.IsConnected() {
		all = append(all, "NATS server away")
	}
	if r.host != nil {
		all = append(all, r.host.trouble()...)
	}
	all = append(all, r.engine.refusing()...)
	if text := r.engine.books.refusing(); text != "" {
		all = append(all, text)
	}
	if _, _, owed, standing := r.engine.hands.state(); standing {
		all = append(all, fmt.Sprintf("standing still: %d messages owed to streams that take nothing", owed))
	}
	return all
}

// redact removes passwords from server addresses.
func redact(urls []string) string {
	var b []string
	for _, u := range urls {
		if p, err := url.Parse(u); err == nil {
			u = p.Redacted()
		}
		b = append(b, u)
	}
	return strings.Join(b, ",")
}
