package main

import (
	"context"
	"net/http"

	"github.com/dlog-fabric/dlog/pkg/dlog"
)

// gateway is the edge of the shop: here a trace begins, so it starts the outermost task itself and takes no token from outside.
func gateway(s *service) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		if err := s.placeOrder(r.Context(), requestOf(r.Header)); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	return mux, nil
}

func (s *service) placeOrder(ctx context.Context, r request) (err error) {
	ctx, t := s.d.Start(ctx, "place-order", dlog.Str("order", r.order))
	defer t.End(&err)
	s.info(ctx, r, "order received")
	if err := s.call(ctx, r, s.upstream["checkout"]+"/checkout"); err != nil {
		s.fail(ctx, r, err, "order not placed")
		return err
	}
	s.info(ctx, r, "order placed")
	return nil
}
