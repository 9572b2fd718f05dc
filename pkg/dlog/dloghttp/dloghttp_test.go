package dloghttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/dlog/dloghttp"
	"github.com/dlog-fabric/dlog/pkg/dlog/dlogtest"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/rs/zerolog"
)

// serve sends one request through a handler without a network.
func serve(h http.Handler, r *http.Request) (rec *httptest.ResponseRecorder, panicked any) {
	rec = httptest.NewRecorder()
	defer func() { panicked = recover() }()
	h.ServeHTTP(rec, r)
	return rec, nil
}

func shop() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		zerolog.Ctx(r.Context()).Info().Str("id", r.PathValue("id")).Msg("placed")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "done")
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code := map[string]int{"404": 404, "503": 503, "200": 200}[r.PathValue("code")]
		w.WriteHeader(code)
	})
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("boom") })
	mux.HandleFunc("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	return mux
}

func TestRequestsAreTasks(t *testing.T) {
	f := func(method, target, want string, opts ...dloghttp.Option) {
		t.Helper()
		rec := dlogtest.New(t)
		r := httptest.NewRequest(method, target, nil)
		r.RemoteAddr = "127.0.0.1:1"
		serve(dloghttp.Handler(rec.Client(), shop(), opts...), r)
		rec.Tree(want)
	}
	f("POST", "/orders/4711?secret=x", `
		POST /orders/{id}: succeeded method=POST url=/orders/4711 peer=127.0.0.1:1 status=201 bytes=4
		  - info placed id=4711`)
	f("GET", "/status/404", `GET /status/{code}: succeeded method=GET url=/status/404 peer=* status=404 bytes=0`)
	f("GET", "/status/404", `GET /status/{code}: failed (status 404 Not Found) *`, dloghttp.Fail4xx())
	f("GET", "/status/503", `GET /status/{code}: failed (status 503 Service Unavailable) * status=503 bytes=0`)
	f("GET", "/nowhere/17", `GET: succeeded * status=404 *`)
	f("BREW", "/nowhere", `OTHER: succeeded * status=404 *`)
	f("GET", "/panic", `GET /panic: panicked (boom) *`)
	f("GET", "/abort", `GET /abort: failed (net/http: abort Handler) *`)
	f("GET", "/status/200", `health: succeeded *`, dloghttp.Name(func(*http.Request) string { return "health" }))
	f("GET", "/status/200", ``, dloghttp.Skip(func(*http.Request) bool { return true }))
}

func TestPanicGoesOn(t *testing.T) {
	rec := dlogtest.New(t)
	_, v := serve(dloghttp.Handler(rec.Client(), shop()), httptest.NewRequest("GET", "/panic", nil))
	if v != "boom" {
		t.Errorf("the panic became %v", v)
	}
}

func TestClientThatIsGoneHasCancelled(t *testing.T) {
	rec := dlogtest.New(t)
	ctx, cancel := context.WithCancel(context.Background())
	h := dloghttp.Handler(rec.Client(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cancel()
		w.WriteHeader(http.StatusInternalServerError)
	}))
	serve(h, httptest.NewRequest("GET", "/", nil).WithContext(ctx))
	rec.Tree(`GET: cancelled (context canceled) * status=500 *`)
}

func TestWhoseTokensAreTaken(t *testing.T) {
	other := dlogtest.New(t)
	_, sender := other.Client().Start(context.Background(), "sender")
	defer sender.End(nil)
	f := func(peer string, taken, link bool, opts ...dloghttp.Option) {
		t.Helper()
		rec := dlogtest.New(t, dlog.Config{Proxies: []string{"203.0.113.7"}})
		token, traceparent := sender.Headers("x")
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = peer
		r.Header.Set("Dlog-Task", token)
		r.Header.Set("traceparent", traceparent)
		serve(dloghttp.Handler(rec.Client(), http.NotFoundHandler(), opts...), r)
		end := rec.Entries()[2]
		if (end.Meta.Trace == sender.Trace().String()) != taken || (len(end.Meta.Links) > 0) != link {
			t.Errorf("%s: %s", peer, end.Raw)
		}
	}
	f("127.0.0.1:1", true, false)
	f("10.0.0.9:1", true, false)
	f("203.0.113.7:1", true, false)
	f("203.0.113.8:1", false, true)
	f("127.0.0.1:1", false, true, dloghttp.Public())

	rec := dlogtest.New(t)
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header.Set("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	serve(dloghttp.Handler(rec.Client(), http.NotFoundHandler()), r)
	if e := rec.Entries()[1]; e.Meta.Trace != "4bf92f3577b34da6a3ce929d0e0e4736" || !strings.HasPrefix(e.Meta.Pos, "x00f067aa0ba902b7~") {
		t.Errorf("%s", e.Raw)
	}
}

// answer is a RoundTripper that keeps what it is sent.
type answer struct {
	status int
	err    error
	got    *http.Request
}

func (a *answer) RoundTrip(r *http.Request) (*http.Response, error) {
	a.got = r
	if a.err != nil {
		return nil, a.err
	}
	return &http.Response{StatusCode: a.status, Body: http.NoBody, Request: r}, nil
}

func TestCalls(t *testing.T) {
	f := func(target string, a *answer, want string, opts ...dloghttp.Option) {
		t.Helper()
		rec := dlogtest.New(t, dlog.Config{Inside: []string{"api.example.com"}})
		client := &http.Client{Transport: dloghttp.Transport(rec.Client(), a, opts...)}
		ctx, tk := rec.Client().Start(context.Background(), "x")
		r, err := http.NewRequestWithContext(ctx, "GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := client.Do(r); err == nil {
			_ = resp.Body.Close()
		}
		tk.End(nil)
		rec.Tree(want)
		if r.Header.Get("Dlog-Task") != "" {
			t.Error("the caller's request was changed")
		}
	}
	calls := dloghttp.Calls()
	f("http://payments:80/charge", &answer{status: 502}, `
		x: succeeded
		  > payments:80`)
	f("http://example.org/", &answer{err: errors.New("no route")}, `x: succeeded`)
	f("http://payments:80/charge?secret=1", &answer{status: 200}, `
		x: succeeded
		  GET payments: succeeded method=GET host=payments:80 url=/charge status=200
		    > payments:80`, calls)
	f("http://example.org/", &answer{status: 404}, `
		x: succeeded
		  GET example.org: succeeded * status=404`, calls)
	f("http://example.org/", &answer{status: 404}, `
		x: succeeded
		  GET example.org: failed (status 404 Not Found) *`, calls, dloghttp.Fail4xx())
	f("http://example.org/", &answer{status: 502}, `
		x: succeeded
		  GET example.org: failed (status 502 Bad Gateway) * status=502`, calls)
	f("http://example.org/", &answer{err: errors.New("no route")}, `
		x: succeeded
		  GET example.org: failed (no route) *`, calls)
	f("http://example.org/", &answer{err: context.Canceled}, `
		x: succeeded
		  charge: cancelled (context canceled) *`, dloghttp.Name(func(*http.Request) string { return "charge" }))
	f("http://example.org/", &answer{status: 200}, `x: succeeded`, dloghttp.Skip(func(*http.Request) bool { return true }))
}

func TestWhereTokensAreSent(t *testing.T) {
	const foreign = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	rec := dlogtest.New(t, dlog.Config{Inside: []string{"api.example.com"}})
	f := func(target, traceparent string, sent bool) {
		t.Helper()
		a := &answer{status: 200}
		ctx, tk := rec.Client().Start(context.Background(), "x")
		defer tk.End(nil)
		r, err := http.NewRequestWithContext(ctx, "GET", target, nil)
		if err != nil {
			t.Fatal(err)
		}
		if traceparent != "" {
			r.Header.Set("traceparent", traceparent)
		}
		if _, err := dloghttp.Transport(rec.Client(), a).RoundTrip(r); err != nil {
			t.Fatal(err)
		}
		if got := a.got.Header.Get("Dlog-Task") != ""; got != sent {
			t.Errorf("%s: token sent: %v", target, got)
		}
		got := a.got.Header.Get("traceparent")
		if traceparent != "" && got != traceparent || traceparent == "" && (got != "") != sent {
			t.Errorf("%s: traceparent %q", target, got)
		}
	}
	f("http://localhost:1/", "", true)
	f("http://10.0.0.1/", "", true)
	f("http://[::1]:80/", "", true)
	f("http://api.example.com/", "", true)
	f("http://api.example.com/", foreign, true)
	f("http://example.com/", "", false)
	f("http://example.com/", foreign, false)
}

// TestOverTheNetwork sends a request from one client to another's handler through a real connection, with what handlers ask of a writer.
func TestOverTheNetwork(t *testing.T) {
	out := &dlogtest.Recorder{} // both sides write to one recorder, as one stream holds both
	cfg := dlog.Config{Service: "client", Out: structure.Writer(out)}
	client, err := dlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Service = "server"
	server, err := dlog.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /flush", func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		if _, err := io.Copy(w, strings.NewReader("copied")); err != nil {
			t.Error(err)
		}
	})
	mux.HandleFunc("GET /hijack", func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		_ = conn.Close()
	})
	var handled sync.WaitGroup // a server that closes does not wait for connections that were taken over
	handler := dloghttp.Handler(server, mux)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer handled.Done()
		handler.ServeHTTP(w, r)
	}))
	c := &http.Client{Transport: dloghttp.Transport(client, srv.Client().Transport)}
	ctx, tk := client.Start(context.Background(), "visit")
	for _, path := range []string{"/flush", "/hijack"} {
		r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		handled.Add(1)
		resp, err := c.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	handled.Wait()
	srv.Close()
	tk.End(nil)
	got := out.String()
	for _, want := range []string{
		"visit: succeeded\n  > 127.0.0.1:*",
		"\n  GET /flush: succeeded method=GET url=/flush peer=* status=200 bytes=6\n",
		"\n  GET /hijack: succeeded method=GET url=/hijack peer=* status=101 bytes=0\n",
	} {
		if !contains(got, want) {
			t.Errorf("%q is not in\n%s", want, got)
		}
	}
}

// contains finds text in which * stands for anything in its line.
func contains(s, pattern string) bool {
	for _, part := range strings.Split(pattern, "*") {
		_, rest, ok := strings.Cut(s, part)
		if !ok {
			return false
		}
		s = rest
	}
	return true
}

func TestNil(t *testing.T) {
	h := dloghttp.Handler(nil, shop(), nil)
	if rec, _ := serve(h, httptest.NewRequest("GET", "/status/404", nil)); rec.Code != 404 {
		t.Errorf("code %d", rec.Code)
	}
	a := &answer{status: 200}
	tr := dloghttp.Transport(nil, a)
	if _, err := tr.RoundTrip(&http.Request{URL: &url.URL{}}); err != nil || a.got == nil {
		t.Error("a nil client stops the call")
	}
	_ = dloghttp.Handler(nil, nil)
}

func ExampleHandler() {
	d, err := dlog.Open(dlog.Config{Service: "checkout"})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		zerolog.Ctx(r.Context()).Info().Msg("placed") // in the task "POST /orders/{id}"
	})
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: dloghttp.Handler(d, mux)}
	_ = server.ListenAndServe
}

func ExampleTransport() {
	d, err := dlog.Open(dlog.Config{Service: "checkout"})
	if err != nil {
		panic(err)
	}
	client := &http.Client{Transport: dloghttp.Transport(d, nil)}
	_ = client.Do // requests made with a task's context carry it to hosts inside
}
