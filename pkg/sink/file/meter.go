package file

import (
	"errors"
	"fmt"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// meter counts what happens to the files and says what an operator should know. It is safe for concurrent use.
type meter struct {
	log zerolog.Logger

	bytes, rotations, compressions, removed, moves, cuts prometheus.Counter
	errors                                               *prometheus.CounterVec

	mu   sync.Mutex
	said map[string]string // guarded by mu: the trouble last said, by what was being done
}

// What can go wrong beside a commit, whose errors are the runner's.
const (
	doRotate   = "rotate"
	doFollow   = "follow"
	doCompress = "compress"
	doRemove   = "remove"
)

func newMeter(into prometheus.Registerer, log zerolog.Logger) (*meter, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "dlog_sink_file_" + name, Help: help})
	}
	m := &meter{
		log: log, said: map[string]string{},
		bytes:        counter("bytes_total", "Bytes committed to files."),
		rotations:    counter("rotations_total", "Files rotated."),
		compressions: counter("compressions_total", "Rotated files compressed."),
		removed:      counter("removed_total", "Rotated files removed because of keep_age, keep_bytes or keep_files."),
		moves:        counter("moves_total", "Times that somebody else moved the file away."),
		cuts:         counter("cuts_total", "Times that somebody else cut the file short."),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "dlog_sink_file_errors_total", Help: "Failures beside those of commits, by what was being done.",
		}, []string{"during"}),
	}
	if into == nil {
		return m, nil
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.bytes, m.rotations, m.compressions, m.removed, m.moves, m.cuts, m.errors} {
		errs = append(errs, into.Register(c))
	}
	for _, during := range []string{doRotate, doFollow, doCompress, doRemove} {
		m.errors.WithLabelValues(during)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

// trouble counts a failure, and says it unless it is the one said last.
func (m *meter) trouble(during string, err error) {
	m.errors.WithLabelValues(during).Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	if text := err.Error(); m.said[during] != text {
		m.said[during] = text
		m.log.Warn().Msg(text)
	}
}

// well says that a trouble has ended.
func (m *meter) well(during string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.said[during] != "" {
		delete(m.said, during)
		m.log.Info().Msg("can " + during + " again")
	}
}

// full makes the error of a full disk one that an operator understands.
func full(path string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, errQuota) {
		return fmt.Errorf("no room on the disk of %s, waiting for it: %w", path, err)
	}
	return err
}
