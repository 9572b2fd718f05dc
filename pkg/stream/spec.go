package stream

import (
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/dlog-fabric/dlog/pkg/subject"
)

// DuplicateWindow is for how long a stream's server drops a second message with the same id. It costs about 0.8 KiB of
// memory per id; whatever is sent again later carries HdrAgain instead.
const DuplicateWindow = 20 * time.Second

// Keep says how much of a stream is kept: the oldest messages go first. Zero fields mean the defaults of the stream.
type Keep struct {
	MaxAge   time.Duration
	MaxBytes int64
}

// or fills in what is zero.
func (k Keep) or(d Keep) Keep {
	if k.MaxAge <= 0 {
		k.MaxAge = d.MaxAge
	}
	if k.MaxBytes <= 0 {
		k.MaxBytes = d.MaxBytes
	}
	return k
}

// Cap lowers MaxBytes to most where that is positive.
func (k Keep) Cap(most int64) Keep {
	if most > 0 && (k.MaxBytes <= 0 || k.MaxBytes > most) {
		k.MaxBytes = most
	}
	return k
}

// What is kept unless a configuration says otherwise.
var (
	keepIn   = Keep{MaxAge: 7 * 24 * time.Hour, MaxBytes: 10 << 30}
	keepTo   = Keep{MaxAge: 7 * 24 * time.Hour, MaxBytes: 1 << 30}
	keepDead = Keep{MaxAge: 30 * 24 * time.Hour, MaxBytes: 256 << 20}
)

// controlBytes bounds the control stream: it holds the last value per subject, so it stays small.
const controlBytes = 64 << 20

// A Spec is what dlog wants of a JetStream stream. Settings that it does not name are left as they are found.
type Spec struct {
	Name        string // as JetStream knows it, "DLOG_IN"
	Subjects    []string
	Description string
	Keep
	// Replicas is how many servers of a cluster hold it; 0 means 1, and an existing stream keeps its own number.
	Replicas int
	// LastOnly keeps one message per subject and allows messages to expire by themselves.
	LastOnly bool
	// Queue removes what is acked, and refuses new messages where it is full.
	Queue bool
}

// SpecIn is the stream of everything as it was said, 7 days and 10 GiB by default.
func SpecIn(ns string, k Keep) Spec {
	return Spec{
		Name: subject.StreamName(ns, "in", ""), Subjects: []string{ns + ".in.>"},
		Description: "dlog: everything as it was said", Keep: k.or(keepIn),
	}
}

// SpecTo is the stream that rules fill under this name, 7 days and 1 GiB by default.
func SpecTo(ns, name string, k Keep) Spec {
	return Spec{
		Name: subject.StreamName(ns, "to", name), Subjects: []string{ns + ".to." + name + ".>"},
		Description: "dlog: what the rules sent to " + name, Keep: k.or(keepTo),
	}
}

// SpecDead is the stream of what could not be decoded, routed or stored, 30 days and 256 MiB by default.
func SpecDead(ns string, k Keep) Spec {
	return Spec{
		Name: subject.StreamName(ns, "dead", ""), Subjects: []string{ns + ".dead.>"},
		Description: "dlog: what could not be decoded, routed or stored", Keep: k.or(keepDead),
	}
}

// SpecControl is the stream of control messages: the last one of each subject.
func SpecControl(ns string) Spec {
	return Spec{
		Name: subject.StreamName(ns, "ctl", ""), Subjects: []string{ns + ".ctl.>"},
		Description: "dlog: control", Keep: Keep{MaxBytes: controlBytes}, LastOnly: true,
	}
}

// SpecOwed is the stream of copies whose own stream refuses them at present, 1 GiB by default.
func SpecOwed(ns string, k Keep) Spec {
	return Spec{
		Name: subject.StreamName(ns, "owed", ""), Subjects: []string{ns + ".owed.>"},
		Description: "dlog: what streams that refuse it get later", Keep: k.or(Keep{MaxBytes: 1 << 30}), Queue: true,
	}
}

// SpecLedger is the stream of the routers' ledger, a twentieth of IN's bytes, for as long as that lasts: it holds running totals,
// which must not age out when nothing is said.
func SpecLedger(ns string, in Keep) Spec {
	return Spec{
		Name: subject.StreamName(ns, "ledger", ""), Subjects: []string{ns + ".ledger.>"},
		Description: "dlog: what the routers made of each message of IN",
		Keep:        Keep{MaxBytes: max(in.or(keepIn).MaxBytes/20, ledgerFloor)},
	}
}

// ledgerFloor is the least that a ledger holds: some hundred full batches.
const ledgerFloor = 4 << 20

// markerTTL is how long the mark of an expired control message stays, so that a reader who was away learns of it.
const markerTTL = time.Minute

// config is the stream as it is made anew.
func (s Spec) config() jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: s.Name, Subjects: slices.Clone(s.Subjects), Description: s.Description,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardOld, Storage: jetstream.FileStorage,
		MaxAge: s.MaxAge, MaxBytes: s.MaxBytes, MaxMsgs: -1, MaxMsgsPerSubject: -1, MaxConsumers: -1,
		Replicas: max(s.Replicas, 1), Compression: jetstream.S2Compression,
		Duplicates: s.duplicates(), AllowDirect: true,
	}
	if s.Queue {
		c.Retention, c.Discard = jetstream.WorkQueuePolicy, jetstream.DiscardNew
	}
	if s.LastOnly {
		c.MaxMsgsPerSubject, c.AllowMsgTTL, c.SubjectDeleteMarkerTTL = 1, true, markerTTL
	}
	return c
}

// duplicates is the duplicate window: a server refuses one that is longer than the stream keeps its messages.
func (s Spec) duplicates() time.Duration {
	if s.MaxAge > 0 {
		return min(DuplicateWindow, s.MaxAge)
	}
	return DuplicateWindow
}
