package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/nats-io/nats.go"

	"github.com/dlog-fabric/dlog/pkg/dlog/dlognats"
)

// mailer is the worker behind the queue: it continues the task that checkout handed over in the message.
func mailer(s *service) (http.Handler, error) {
	_, err := s.nc.QueueSubscribe(mailSubject, "mailer", func(m *nats.Msg) {
		r := request{m.Header.Get("X-Order"), fate(m.Header.Get("X-Fate"))}
		ctx, t := s.d.Import(context.Background(), dlognats.Extract(m.Header), "send-mail")
		err := s.sendMail(ctx, r)
		t.End(&err)
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe to the mail queue: %w", err)
	}
	return http.NotFoundHandler(), s.nc.Flush()
}

func (s *service) sendMail(ctx context.Context, r request) error {
	s.info(ctx, r, "mail composed")
	if r.fate == mailboxFull {
		return errors.New("mailbox full")
	}
	s.info(ctx, r, "mail sent")
	return nil
}
