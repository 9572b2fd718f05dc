package adopt

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/dlog"
	"github.com/dlog-fabric/dlog/pkg/dlog/dloghttp"
	"github.com/dlog-fabric/dlog/pkg/structure"
)

// step is how far a service has come on the way of docs/adopt.md.
type step int

const (
	plain    step = 1 + iota // its lines are taken as they are
	attached                 // its logger belongs to dlog
	handled                  // its requests are tasks
	borders                  // so is what it hands to workers
	inside                   // and its own steps
)

// passes says which headers of a request a service sends along to the next one, as its makers happen to have done it.
type passes []string

// service is one of three in a chain: gateway asks checkout, checkout asks payments, which declines.
type service struct {
	name   string
	step   step
	passes passes
	next   string
	logger zerolog.Logger
	d      *dlog.Client
	client *http.Client
	jobs   chan job
	done   chan struct{}
}

// job is work for later, as a queue carries it.
type job struct{ Token, RequestID string }

// start runs a service; its log is the file NAME.log in dir.
func start(t *testing.T, dir string, s *service) *httptest.Server {
	t.Helper()
	log, err := os.OpenFile(filepath.Join(dir, s.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s.logger = zerolog.New(log).With().Timestamp().Logger()
	s.client = &http.Client{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.order)
	mux.HandleFunc("POST /checkout", s.checkout)
	mux.HandleFunc("POST /charge", s.charge)
	var handler http.Handler = mux
	if s.step >= attached {
		s.attach(t, log)
	}
	if s.step >= handled {
		handler = s.handle(mux)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// attach is step 2.
func (s *service) attach(t *testing.T, log io.Writer) {
	logger := s.logger
	d, err := open(s.name, log)
	if err != nil {
		t.Fatal(err)
	}
	logger = d.Attach(logger)
	s.d, s.logger = d, logger
}

// open stands for dlog.Open of the page, with the entries in a file instead of on their way to a router.
func open(name string, log io.Writer) (*dlog.Client, error) {
	return dlog.Open(dlog.Config{Service: name, Out: structure.Writer(log), Stderr: io.Discard})
}

// sayOne is step 2 as it stands on the page, with a router at DLOG_URL.
func sayOne(id string) error {
	logger := zerolog.New(os.Stderr).With().Timestamp().Logger()

	d, err := dlog.Open(dlog.Config{Service: "payments"})
	if err != nil {
		return err
	}
	defer d.Close(context.Background())
	logger = d.Attach(logger)

	logger.Info().Str("request_id", id).Msg("charge requested")
	return nil
}

// handle is step 3.
func (s *service) handle(mux *http.ServeMux) http.Handler {
	d := s.d
	client := &http.Client{Transport: dloghttp.Transport(d, nil)}
	handler := dloghttp.Handler(d, mux)
	s.client = client
	return handler
}

// call asks the next service, as the service did before anyone thought of dlog: with the request's id.
func (s *service) call(r *http.Request, path string) (int, error) {
	out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, s.next+path, nil)
	if err != nil {
		return 0, err
	}
	out.Header.Set("X-Request-Id", r.Header.Get("X-Request-Id"))
	for _, name := range s.passes {
		if v := r.Header.Get(name); v != "" {
			out.Header.Set(name, v)
		}
	}
	resp, err := s.client.Do(out)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func (s *service) order(w http.ResponseWriter, r *http.Request) {
	logger := s.logger.With().Ctx(r.Context()).Str("request_id", r.Header.Get("X-Request-Id")).Logger()
	logger.Info().Msg("order received")
	status, err := s.call(r, "/checkout")
	if err != nil || status >= 500 {
		logger.Error().Err(err).Int("status", status).Msg("order not placed")
		w.WriteHeader(http.StatusBadGateway)
	}
}

func (s *service) checkout(w http.ResponseWriter, r *http.Request) {
	logger := s.logger.With().Ctx(r.Context()).Str("request_id", r.Header.Get("X-Request-Id")).Logger()
	logger.Info().Int("items", 3).Msg("checking out")
	status, err := s.call(r, "/charge")
	if err != nil || status >= 500 {
		logger.Warn().Err(err).Int("status", status).Msg("not charged")
		w.WriteHeader(http.StatusBadGateway)
	}
}

func (s *service) charge(w http.ResponseWriter, r *http.Request) {
	logger := s.logger.With().Ctx(r.Context()).Str("request_id", r.Header.Get("X-Request-Id")).Logger()
	logger.Info().Int("amount_cents", 105).Msg("charge requested")
	if s.step >= inside {
		if err := s.chargeCard(r.Context()); err != nil {
			logger.Error().Err(err).Msg("not charged")
			w.WriteHeader(http.StatusInternalServerError)
		}
	} else if err := askBank(); err != nil {
		logger.Error().Err(err).Msg("not charged")
		w.WriteHeader(http.StatusInternalServerError)
	}
	if s.step >= borders {
		s.enqueue(r.Context(), r.Header.Get("X-Request-Id"))
	}
}

func askBank() error { return errors.New("card declined") }

// enqueue and work are step 4.
func (s *service) enqueue(ctx context.Context, id string) {
	t := dlog.TaskFrom(ctx)
	s.jobs <- job{Token: t.Export("receipts"), RequestID: id}
	<-s.done
}

func (s *service) work() {
	for j := range s.jobs {
		_ = s.send(context.Background(), j)
		s.done <- struct{}{}
	}
}

func (s *service) send(ctx context.Context, j job) (err error) {
	d := s.d
	ctx, t := d.Import(ctx, j.Token, "send-notice", dlog.Str("request_id", j.RequestID))
	defer t.End(&err)
	zerolog.Ctx(ctx).Info().Msg("notice sent")
	return nil
}

// chargeCard is step 5.
func (s *service) chargeCard(ctx context.Context) error {
	d := s.d
	return d.Do(ctx, "charge-card", func(ctx context.Context) error {
		zerolog.Ctx(ctx).Debug().Str("bank", "north").Msg("asking the bank")
		return askBank()
	})
}
