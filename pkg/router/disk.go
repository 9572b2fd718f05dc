package router

import (
	"context"
	"errors"
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
	cfg       natsd.Config
	log       zerolog.Logger
	restarted time.Time // owned by watch

	mu   sync.Mutex // guards what follows
	srv  *natsd.Server
	free uint64
	size uint64
	low  bool  // the disk is nearly full
	shut bool  // so IN refuses
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

// restartEvery keeps a server that cannot write even when there is room from being started again and again.
const restartEvery = 10 * time.Second

// watch looks at disk and server each second until ctx ends.
func (h *host) watch(ctx context.Context, e *engine) {
	every(ctx, time.Second, func(now time.Time) {
		free, size, err := natsd.DiskSpace(h.cfg.Data)
		if err != nil {
			e.faults.say(h.log, "watching the disk", err)
			return
		}
		sick := h.server().Health()
		low, shut := h.see(free, size, sick)
		e.hands.pause(low) // the rules' streams lie on the same disk
		if low != shut {
			h.refuse(ctx, e, low)
		}
		if errors.Is(sick, natsd.ErrWrite) && !low && now.Sub(h.restarted) > restartEvery {
			h.restarted = now
			h.restart(ctx, sick)
		}
	})
}

// see takes in the state of disk and server. The disk is low from the floor on until a quarter more is free.
func (h *host) see(free, size uint64, sick error) (low, shut bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.free, h.size, h.sick = free, size, sick
	h.low = free < floor(size) || (h.low && free <= floor(size)*5/4)
	return h.low, h.shut
}

// refuse makes IN answer every new message with an error, or take them again. Nothing that IN holds is touched.
func (h *host) refuse(ctx context.Context, e *engine, on bool) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	change := func() error { return e.ensure(ctx, e.in) }
	if on {
		change = func() error { return freeze(ctx, e.js, e.in.Name) }
	}
	if err := change(); err != nil {
		e.faults.say(h.log, "making IN follow the state of the disk", err)
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
	if h.low {
		all = append(all, fmt.Sprintf("disk nearly full: %d bytes free, new entries are refused below %d", h.free, floor(h.size)))
	}
	return all
}
