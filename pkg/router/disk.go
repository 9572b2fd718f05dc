package router

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/natsd"
)

// host is the embedded server and the disk under it.
//
// A full file system is the one thing the server does not survive: publishers get no answer at all, and writes fail until it is
// started anew, even after space has been freed. So IN refuses new messages, with an answer, while little is left, and
// a server that met a write error all the same is started again once there is room.
type host struct {
	cfg natsd.Config
	log zerolog.Logger

	mu   sync.Mutex // guards what follows
	srv  *natsd.Server
	free uint64
	size uint64
	shut bool  // IN refuses because the disk is nearly full
	sick error // the server's health
}

func startHost(ctx context.Context, cfg natsd.Config, log zerolog.Logger) (*host, error) {
	srv, err := natsd.Start(ctx, cfg)
	if err != nil {
		return nil, err
	}
	h := &host{cfg: cfg, log: log, srv: srv}
	h.cfg.Listen = srv.Addr() // the same port when it is started again
	if h.free, h.size, err = natsd.DiskSpace(cfg.Data); err != nil {
		srv.Close()
		return nil, err
	}
	return h, nil
}

func (h *host) server() *natsd.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.srv
}

func (h *host) close() { h.server().Close() }

// most is the cap of one stream's bytes: a fifth of what is free or its own already.
func (h *host) most(own uint64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return max(int64((h.free+own)/5), 1<<20)
}

// floor is how much of the disk must stay free: a fiftieth, at least 16 MiB, at most 1 GiB.
func floor(size uint64) uint64 { return min(max(size/50, 16<<20), 1<<30) }

// watch looks at disk and server each second until ctx ends.
func (h *host) watch(ctx context.Context, e *engine) {
	every(ctx, time.Second, func(time.Time) {
		free, size, err := natsd.DiskSpace(h.cfg.Data)
		if err != nil {
			e.faults.say(h.log, "watching the disk", err)
			return
		}
		sick := h.server().Health()
		h.mu.Lock()
		h.free, h.size, h.sick = free, size, sick
		shut := h.shut
		h.mu.Unlock()
		low := free < floor(size)
		roomy := free > floor(size)*5/4
		switch {
		case low && !shut:
			h.refuse(ctx, e, true)
		case roomy && shut:
			h.refuse(ctx, e, false)
		}
		if sick != nil && roomy {
			h.restart(ctx, sick)
		}
	})
}

// refuse makes IN answer every new message with an error and stops routing, or undoes both. Nothing that IN holds is touched.
func (h *host) refuse(ctx context.Context, e *engine, on bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	e.hands.pause(on) // the streams lie on the same disk
	change := func() error { return e.ensure(ctx, e.in) }
	if on {
		change = func() error { return freeze(ctx, e.js, e.in.Name) }
	}
	if err := change(); err != nil {
		h.log.Error().Err(err).Bool("refuse", on).Msg("stream IN does not follow the state of the disk")
		return
	}
	h.mu.Lock()
	h.shut = on
	free := h.free
	h.mu.Unlock()
	if on {
		h.log.Error().Uint64("free", free).Msg("disk nearly full: new entries are refused and stay with who says them")
	} else {
		h.log.Info().Uint64("free", free).Msg("room on the disk again: new entries are taken")
	}
}

// freeze makes a stream refuse new messages: it does so at its byte limit, which is what it holds.
func freeze(ctx context.Context, js jetstream.JetStream, name string) error {
	s, err := js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("look for stream %s: %w", name, err)
	}
	cfg := s.CachedInfo().Config
	cfg.Discard, cfg.MaxBytes = jetstream.DiscardNew, max(int64(s.CachedInfo().State.Bytes), 1)
	if _, err := js.UpdateStream(ctx, cfg); err != nil {
		return fmt.Errorf("freeze stream %s: %w", name, err)
	}
	return nil
}

// restart starts the embedded server anew on the same port. The connection comes back by itself.
func (h *host) restart(ctx context.Context, sick error) {
	h.log.Error().Err(sick).Msg("embedded server is started anew")
	h.server().Close()
	for failures := 0; ctx.Err() == nil; failures++ {
		srv, err := natsd.Start(ctx, h.cfg)
		if err == nil {
			h.mu.Lock()
			h.srv, h.sick = srv, nil
			h.mu.Unlock()
			return
		}
		h.log.Error().Err(err).Msg("embedded server does not start")
		select {
		case <-ctx.Done():
		case <-time.After(min(time.Second<<min(failures, 5), 30*time.Second)):
		}
	}
}

// trouble lists what is wrong, for people.
func (h *host) trouble() (all []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sick != nil {
		all = append(all, h.sick.Error())
	}
	if h.shut {
		all = append(all, fmt.Sprintf("disk nearly full: %d bytes free, new entries are refused below %d", h.free, floor(h.size)))
	}
	return all
}
