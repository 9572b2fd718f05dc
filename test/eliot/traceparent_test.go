package eliot

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/dlog/dloghttp"
	"github.com/dlog-fabric/dlog/pkg/structure"
	"github.com/dlog-fabric/dlog/pkg/task"
)

// client opens dlog for a service that logs to a file.
func client(t *testing.T, service, log string) *dlog.Client {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	d, err := dlog.Open(dlog.Config{Service: service, Out: structure.Writer(f), Stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// get sends a request as a client without dlog does.
func get(t *testing.T, url, traceparent string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("traceparent", traceparent)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
}

// TestTraceparent wants a request that carries nothing but a W3C traceparent to stand in the stranger's trace, at the stranger's span, and
// what the service sends on to name the span that any reader computes from the tree.
func TestTraceparent(t *testing.T) {
	const trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	log := filepath.Join(t.TempDir(), "shop.log")
	var sent http.Header
	next := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { sent = r.Header.Clone() }))
	defer next.Close()
	d := client(t, "shop", log)
	calls := &http.Client{Transport: dloghttp.Transport(d, nil)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		zerolog.Ctx(r.Context()).Info().Str("id", r.PathValue("id")).Msg("looked up")
		err := d.Do(r.Context(), "ask-stock", func(ctx context.Context) error {
			out, err := http.NewRequestWithContext(ctx, http.MethodGet, next.URL, nil)
			if err != nil {
				return err
			}
			resp, err := calls.Do(out)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		})
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	server := httptest.NewServer(dloghttp.Handler(d, mux))
	get(t, server.URL+"/orders/17", "00-"+trace+"-"+span+"-01")
	server.Close() // waits for the end of the request

	out := sink(t, "tree", trace, "--file", log)
	want := regexp.MustCompile(`^trace ` + trace + ` at x` + span + `~[a-z2-7]{5}, 6 entries, .*
\S+ +\S+  ✔ GET /orders/\{id\}  shop  url=/orders/17  status=200
\S+ +├─ info   looked up  id=17
\S+ +\S+  └─ ✔ ask-stock
\S+ +└─ export 127.0.0.1:\d+  \(not continued here\)
$`)
	if !want.MatchString(out) {
		t.Errorf("tree:\n%s", out)
	}

	var root node
	if err := json.Unmarshal([]byte(sink(t, "tree", trace, "--file", log, "--format", "json")), &root); err != nil {
		t.Fatal(err)
	}
	if len(root.Missing) > 0 || root.Trace != trace || !strings.HasPrefix(root.Pos, "x"+span+"~") || len(root.Children) != 1 {
		t.Fatalf("root: %+v", root)
	}
	gotTrace, gotSpan, err := task.ParseTraceparent(sent.Get("traceparent"))
	if err != nil {
		t.Fatal(err)
	}
	computed := task.SpanID(gotTrace, task.Position(root.Children[0].Pos))
	if gotTrace.String() != trace || gotSpan != computed {
		t.Errorf("sent %s, want span %s", sent.Get("traceparent"), hex.EncodeToString(computed[:]))
	}
	if tok, err := task.ParseToken(sent.Get("Dlog-Task")); err != nil || tok.Pos.Parent() != task.Position(root.Children[0].Pos) {
		t.Errorf("token %q: %v", sent.Get("Dlog-Task"), err)
	}
}

// TestTraceparentTwice sends two requests below one span: two trees in one trace, and dlog-sink tree shows both.
func TestTraceparentTwice(t *testing.T) {
	const trace = "0af7651916cd43dd8448eb211c80319d"
	log := filepath.Join(t.TempDir(), "shop.log")
	d := client(t, "shop", log)
	server := httptest.NewServer(dloghttp.Handler(d, http.NotFoundHandler()))
	for range 2 {
		get(t, server.URL, "00-"+trace+"-b7ad6b7169203331-00")
	}
	server.Close()
	out := sink(t, "tree", trace[:12], "--file", log)
	if strings.Count(out, "trace "+trace+" at xb7ad6b7169203331~") != 2 || strings.Count(out, "✔ GET  shop") != 2 {
		t.Errorf("tree:\n%s", out)
	}
	if gaps := sink(t, "gaps", "--file", log, "--format", "json"); gaps != "" {
		t.Errorf("absent: %s", gaps)
	}
}
