package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/dlog/dloghttp"
)

// A service is what each process of the shop has: its loggers, its book and the services it calls.
type service struct {
	d        *dlog.Client
	book     *ledger
	client   *http.Client
	upstream map[string]string
	nc       *nats.Conn
}

// services are the programs of the shop: each builds the handler of its HTTP side.
var services = map[string]func(*service) (http.Handler, error){
	"gateway":   gateway,
	"checkout":  checkout,
	"payments":  payments,
	"inventory": inventory,
	"mailer":    mailer,
}

// serve runs one service until ctx ends, prints its address once it listens, and lets its logger drain.
func serve(ctx context.Context, name string, build func(*service) (http.Handler, error), o options, out io.Writer) (err error) {
	book, err := openLedger(o.ledger, name)
	if err != nil {
		return err
	}
	d, err := dlog.Open(dlog.Config{Service: name})
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		err = errors.Join(err, d.Close(closing))
	}()
	nc, err := nats.Connect(o.nats)
	if err != nil {
		return fmt.Errorf("connect to the mail queue: %w", err)
	}
	s := &service{
		d: d, book: book, upstream: parseUpstream(o.upstream), nc: nc,
		client: &http.Client{Transport: dloghttp.Transport(d, nil)},
	}
	handler, err := build(s)
	if err != nil {
		return err
	}
	return errors.Join(listen(ctx, handler, out), drain(nc))
}

// listen serves HTTP until ctx ends and waits for the requests in hand.
func listen(ctx context.Context, h http.Handler, out io.Writer) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	// net/http prints the stack of a handler that panicked; dlog has it in the task's end entry.
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: nil}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		closing, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(closing)
	})
	fmt.Fprintf(out, "http://%s\n", ln.Addr())
	if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// drain handles the messages in hand before the connection closes.
func drain(nc *nats.Conn) error {
	closed := make(chan struct{})
	nc.SetClosedHandler(func(*nats.Conn) { close(closed) })
	if err := nc.Drain(); err != nil {
		return fmt.Errorf("drain the mail queue: %w", err)
	}
	<-closed
	return nil
}

func parseUpstream(s string) map[string]string {
	m := map[string]string{}
	for part := range strings.SplitSeq(s, ",") {
		if name, url, ok := strings.Cut(part, "="); ok {
			m[name] = url
		}
	}
	return m
}

// call posts to another service; an answer of 400 and above is an error.
func (s *service) call(ctx context.Context, r request, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("X-Order", r.order)
	req.Header.Set("X-Fate", string(r.fate))
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 400 {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	return errors.Join(errors.New(strings.TrimSpace(string(text))), err)
}

// A request is what every service needs to know of the order it works for.
type request struct {
	order string
	fate  fate
}

func requestOf(h http.Header) request { return request{h.Get("X-Order"), fate(h.Get("X-Fate"))} }

// info and warn say a line through zerolog, as any code that holds a context would, and write it into the book first.
func (s *service) info(ctx context.Context, r request, message string) {
	s.book.note(r.order, "info", message)
	zerolog.Ctx(ctx).Info().Str("order", r.order).Msg(message)
}

func (s *service) debug(ctx context.Context, r request, message string) {
	s.book.note(r.order, "debug", message)
	zerolog.Ctx(ctx).Debug().Str("order", r.order).Msg(message)
}

func (s *service) warn(ctx context.Context, r request, err error, message string) {
	s.book.note(r.order, "warn", message)
	zerolog.Ctx(ctx).Warn().Str("order", r.order).Err(err).Msg(message)
}

func (s *service) fail(ctx context.Context, r request, err error, message string) {
	s.book.note(r.order, "error", message)
	zerolog.Ctx(ctx).Error().Str("order", r.order).Err(err).Msg(message)
}
