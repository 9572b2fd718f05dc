package sink

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// State is what a sink is doing.
type State string

// The states. A sink that stands by is as healthy as an active one: another process carries its entries.
const (
	Starting State = "starting" // not attached to its stream yet
	Waiting  State = "waiting"  // the server, the stream or the consumer is not there
	Standby  State = "standby"  // another client is active, or nothing has come yet
	Active   State = "active"   // entries are carried
	Stalled  State = "stalled"  // the destination fails: nothing is pulled
	Stopped  State = "stopped"
)

var states = []State{Starting, Waiting, Standby, Active, Stalled, Stopped}

// Status is how a sink is doing.
type Status struct {
	Name   string    `json:"name"`
	Type   string    `json:"type"`
	Stream string    `json:"stream"`
	State  State     `json:"state"`
	Since  time.Time `json:"since"` // when it came into this state
	// Committed is the last sequence known to be committed by this process; 0 where it has not been active.
	Committed uint64 `json:"committed"`
	// Lag is how many messages of the stream are not committed yet, -1 while unknown.
	Lag int64 `json:"lag"`
	// Error is the present trouble, empty if there is none.
	Error string `json:"error,omitempty"`
}

// meters are the metrics of all sinks of a process.
type meters struct {
	registry  *prometheus.Registry
	committed *prometheus.GaugeVec
	lag       *prometheus.GaugeVec
	state     *prometheus.GaugeVec
	entries   *prometheus.CounterVec
	filtered  *prometheus.CounterVec
	batches   *prometheus.CounterVec
	gaps      *prometheus.CounterVec
	dead      *prometheus.CounterVec
	restarts  *prometheus.CounterVec
	errors    *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
}

func newMeters() *meters {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "dlog_sink_" + name, Help: help}, append([]string{"sink"}, labels...))
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "dlog_sink_" + name, Help: help}, append([]string{"sink"}, labels...))
	}
	m := &meters{
		registry:  prometheus.NewRegistry(),
		committed: gauge("committed_sequence", "Stream sequence of the last message committed by this process."),
		lag:       gauge("lag_messages", "Messages of the stream that are not committed yet."),
		state:     gauge("state", "1 for the state that the sink is in.", "state"),
		entries:   counter("entries_total", "Entries committed, records of gaps included."),
		filtered:  counter("filtered_total", "Entries that the sink's conditions kept out."),
		batches:   counter("batches_total", "Commits that succeeded."),
		gaps:      counter("gap_records_total", "Records of what expired or was rolled back before it was stored."),
		dead:      counter("dead_total", "Entries and messages sent to the dead letters.", "reason"),
		restarts:  counter("restarts_total", "Times that reading began anew."),
		errors:    counter("errors_total", "Failures of the destination."),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "dlog_sink_commit_seconds", Help: "Time of a commit.", Buckets: prometheus.ExponentialBuckets(0.0001, 4, 10),
		}, []string{"sink"}),
	}
	m.registry.MustRegister(m.committed, m.lag, m.state, m.entries, m.filtered, m.batches, m.gaps, m.dead, m.restarts, m.errors, m.seconds)
	return m
}

// of makes the meter of one sink, all counters at zero.
func (m *meters) of(s Spec) *meter {
	out := &meter{
		all: m, restarts: m.restarts.WithLabelValues(s.Name), errors: m.errors.WithLabelValues(s.Name), filtered: m.filtered.WithLabelValues(s.Name),
		now: Status{Name: s.Name, Type: s.Type, Stream: s.Stream, Lag: -1},
	}
	m.entries.WithLabelValues(s.Name)
	m.batches.WithLabelValues(s.Name)
	m.gaps.WithLabelValues(s.Name)
	out.set(Starting, "")
	return out
}

// meter is one sink's part. It is safe for concurrent use.
type meter struct {
	all                        *meters
	restarts, errors, filtered prometheus.Counter

	mu      sync.Mutex
	now     Status
	carried bool // something was committed since took was asked
}

func (m *meter) status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

func (m *meter) set(s State, trouble string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.now.State != s {
		m.now.State, m.now.Since = s, time.Now().UTC()
	}
	m.now.Error = trouble
	for _, other := range states {
		v := 0.0
		if other == s {
			v = 1
		}
		m.all.state.WithLabelValues(m.now.Name, string(other)).Set(v)
	}
}

func (m *meter) lag(n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Lag = int64(n)
	m.all.lag.WithLabelValues(m.now.Name).Set(float64(n))
}

func (m *meter) committed(c Committed) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Committed = c.Seq
	m.all.committed.WithLabelValues(m.now.Name).Set(float64(c.Seq))
}

func (m *meter) commit(reached Committed, b Batch, took time.Duration, err error) {
	m.committed(reached)
	m.all.seconds.WithLabelValues(m.now.Name).Observe(took.Seconds())
	if err != nil {
		return
	}
	gaps := 0
	for i := range b.Entries {
		if b.Entries[i].Gap {
			gaps++
		}
	}
	m.all.batches.WithLabelValues(m.now.Name).Inc()
	m.all.entries.WithLabelValues(m.now.Name).Add(float64(len(b.Entries)))
	m.all.gaps.WithLabelValues(m.now.Name).Add(float64(gaps))
	m.mu.Lock()
	m.carried = true
	m.mu.Unlock()
}

func (m *meter) dead(reason string, n int) {
	m.all.dead.WithLabelValues(m.now.Name, reason).Add(float64(n))
}

// took reports whether anything was committed since it was last asked.
func (m *meter) took() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	took := m.carried
	m.carried = false
	return took
}
