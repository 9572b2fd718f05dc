package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/dlog/dloghttp"
	"github.com/dlog-fabric/dlog/pkg/dlog/dlognats"
)

// mailSubject is the queue between checkout and the mail worker.
const mailSubject = "shop.mail"

// checkout reserves the goods, charges the card and orders the mail, each a goal of its own.
func checkout(s *service) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, r *http.Request) {
		if err := s.checkOut(r.Context(), requestOf(r.Header)); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	})
	return dloghttp.Handler(s.d, mux), nil
}

func (s *service) checkOut(ctx context.Context, r request) error {
	err := s.d.Do(ctx, "reserve", func(ctx context.Context) error {
		err := s.call(ctx, r, s.upstream["inventory"]+"/reserve")
		if err != nil {
			return fmt.Errorf("reserve goods: %w", err)
		}
		s.info(ctx, r, "goods reserved")
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.charge(ctx, r); err != nil {
		return err
	}
	return s.d.Do(ctx, "order-mail", func(ctx context.Context) error { return s.orderMail(ctx, r) })
}

// charge tries twice: the second attempt stands beside the first in the tree.
func (s *service) charge(ctx context.Context, r request) error {
	return s.d.Do(ctx, "charge-card", func(ctx context.Context) error {
		err := s.call(ctx, r, s.upstream["payments"]+"/charge")
		if err != nil && r.fate == flaky {
			s.warn(ctx, r, err, "charging again")
			r.fate = fine
			err = s.call(ctx, r, s.upstream["payments"]+"/charge")
		}
		if err != nil {
			return fmt.Errorf("charge card: %w", err)
		}
		s.info(ctx, r, "card charged")
		return nil
	})
}

// orderMail hands the mail over to the worker; the task goes along in the message's headers.
func (s *service) orderMail(ctx context.Context, r request) error {
	m := nats.NewMsg(mailSubject)
	m.Header.Set("X-Order", r.order)
	m.Header.Set("X-Fate", string(r.fate))
	dlognats.Inject(ctx, m.Header, "mailer")
	s.debug(ctx, r, "mail ordered")
	return errors.Join(s.nc.PublishMsg(m), s.nc.Flush())
}
