package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/dlog-fabric/dlog/pkg/dlog/dloghttp"
)

// payments is written with slog; its lines join the task that stands in the context.
func payments(s *service) (http.Handler, error) {
	logger := slog.New(s.d.SlogHandler(nil))
	mux := http.NewServeMux()
	mux.HandleFunc("POST /charge", func(w http.ResponseWriter, hr *http.Request) {
		r := requestOf(hr.Header)
		s.book.note(r.order, "info", "charge requested")
		logger.InfoContext(hr.Context(), "charge requested", "order", r.order, "amount_cents", 100+len(r.order))
		switch r.fate {
		case crash:
			declineReasons := []string{}
			http.Error(w, declineReasons[len(r.order)], http.StatusInternalServerError)
			return
		case flaky:
			s.book.note(r.order, "error", "acquirer did not answer")
			logger.ErrorContext(hr.Context(), "acquirer did not answer", "order", r.order)
			http.Error(w, "acquirer did not answer", http.StatusServiceUnavailable)
			return
		}
		if err := s.authorize(hr.Context(), logger, r); err != nil {
			http.Error(w, err.Error(), http.StatusPaymentRequired)
		}
	})
	return dloghttp.Handler(s.d, mux), nil
}

func (s *service) authorize(ctx context.Context, logger *slog.Logger, r request) error {
	return s.d.Do(ctx, "authorize", func(ctx context.Context) error {
		if r.fate == declined {
			s.book.note(r.order, "warn", "limit exceeded")
			logger.WarnContext(ctx, "limit exceeded", slog.Group("card", "last4", "4242", "brand", "visa"))
			return fmt.Errorf("card declined: limit of %s exceeded", r.order)
		}
		s.book.note(r.order, "debug", "authorized")
		logger.DebugContext(ctx, "authorized", "order", r.order)
		return nil
	})
}
