package router

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/dlog-fabric/dlog/pkg/stream/ledger"
)

// collector turns one reading of the counters into metrics, so that the sums balance within every scrape.
type collector struct{ r *run }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("dlog_router_"+name, help, labels, nil)
}

var (
	descReceived   = desc("entries_received_total", "Entries taken from the stream IN.")
	descInFlight   = desc("entries_in_flight", "Entries taken from IN whose message is not settled yet.")
	descDelivered  = desc("entries_delivered_total", "Entries that at least one stream has stored.")
	descDefault    = desc("entries_by_default_total", "Delivered entries that only [default] sent anywhere.")
	descMatched    = desc("rule_matches_total", "Entries that a rule matched.", "rule")
	descFailed     = desc("rule_failures_total", "Entries that a rule matched and could not be applied to.", "rule")
	descDropped    = desc("entries_dropped_total", "Entries dropped, by the rule that ended them.", "rule")
	descDead       = desc("entries_dead_total", "Entries that became dead letters, by reason.", "reason")
	descCopies     = desc("copies_stored_total", "Entries stored, by stream: one entry counts once for each stream it went to.", "stream")
	descParked     = desc("copies_owed_total", "Entries put aside for a stream that refused them, by stream.", "stream")
	descPaid       = desc("copies_paid_total", "Entries that a stream was owed and has stored since, by stream.", "stream")
	descOwing      = desc("owed_messages", "Messages in the stream of what is owed, put there by any router.")
	descPacks      = desc("messages_received_total", "Messages taken from the stream IN.")
	descPacksOut   = desc("messages_stored_total", "Messages stored in streams, dead letters included.")
	descDuplicates = desc("messages_duplicate_total", "Messages stored that the server had stored before, and dropped.")
	descAgain      = desc("messages_redelivered_total", "Messages of IN that came again while in hand or just settled.")
	descHand       = desc("messages_in_hand", "Messages of IN in hand, not yet acked.")
	descHandBytes  = desc("bytes_in_hand", "Their size.")
	descOwed       = desc("messages_owed", "Messages of IN that wait only for streams that were set aside.")
	descWaiting    = desc("stream_waiting_messages", "Messages made for a stream and not stored yet.", "stream")
	descRefusing   = desc("stream_refusing", "1 while a stream takes nothing.", "stream")
	descReady      = desc("ready", "1 while entries are taken and routed, as /readyz tells.")
	descBookPacks  = desc("ledger_messages_total", "Messages of IN recorded in the ledger, by all routers, over all restarts.")
	descBookEntry  = desc("ledger_entries_total", "Entries recorded in the ledger, by all routers, over all restarts, by what became of them.", "state")
	descBookGone   = desc("ledger_expired_messages_total", "Messages that the limits of IN removed before any router had them.")
	descReloads    = desc("reloads_total", "Configurations read while the router runs, by what became of them: good ones took over, bad ones were refused.", "result")
	descOutdated   = desc("rules_outdated", "1 while older rules are in force than those of the file, because that was refused.")
	descRules      = desc("rules_info", "1, with the hash of the rules in force.", "hash")
	descFree       = desc("disk_free_bytes", "Free space under the embedded server.")
)

// Describe sends nothing: the set of labels depends on the rules.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect takes one reading.
func (c collector) Collect(out chan<- prometheus.Metric) {
	e := c.r.engine
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	n := e.count.read()
	counter(descReceived, n.received)
	gauge(descInFlight, float64(n.inFlight))
	counter(descDelivered, n.delivered)
	counter(descDefault, n.byDefault)
	for name, v := range n.matched {
		counter(descMatched, v, name)
	}
	for name, v := range n.failed {
		counter(descFailed, v, name)
	}
	for name, v := range n.dropped {
		counter(descDropped, v, name)
	}
	for reason, v := range n.dead {
		counter(descDead, v, string(reason))
	}
	counter(descPacks, n.packs)
	counter(descPacksOut, n.packsOut)
	counter(descDuplicates, n.duplicates)
	counter(descAgain, n.again)
	for name, v := range n.copies {
		counter(descCopies, v, name)
	}
	for name, v := range n.owed {
		counter(descParked, v, name)
	}
	for name, v := range n.paid {
		counter(descPaid, v, name)
	}
	gauge(descOwing, float64(n.owing))
	c.ledger(counter)
	good, bad, _ := c.r.reloads.read()
	counter(descReloads, good, "good")
	counter(descReloads, bad, "bad")
	c.lanes(gauge)
	c.state(gauge)
}

func (c collector) lanes(gauge func(*prometheus.Desc, float64, ...string)) {
	for _, o := range c.r.engine.outlets() {
		since, _ := o.lane.Refusing()
		gauge(descWaiting, float64(o.lane.Waiting()), o.label())
		gauge(descRefusing, truth(!since.IsZero()), o.label())
	}
}

// ledger shows the sums over all routers and restarts, as far as this router has read.
func (c collector) ledger(counter func(*prometheus.Desc, uint64, ...string)) {
	t := c.r.engine.books.chain.Totals()
	counter(descBookPacks, t.Messages)
	counter(descBookGone, t.Expired)
	counter(descBookEntry, t.Delivered, "delivered")
	counter(descBookEntry, t.Of(ledger.Dropped), "dropped")
	counter(descBookEntry, t.Of(ledger.Dead), "dead")
}

func (c collector) state(gauge func(*prometheus.Desc, float64, ...string)) {
	packs, bytes, owed, _ := c.r.engine.hands.state()
	gauge(descHand, float64(packs))
	gauge(descHandBytes, float64(bytes))
	gauge(descOwed, float64(owed))
	gauge(descReady, truth(len(c.r.unready()) == 0))
	gauge(descOutdated, truth(c.r.reloads.warning() != ""))
	gauge(descRules, 1, c.r.engine.rules.Load().hash)
	if h := c.r.host; h != nil {
		h.mu.Lock()
		free := h.free
		h.mu.Unlock()
		gauge(descFree, float64(free))
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// registry holds the router's metrics and those of its process, and nothing that other packages registered.
func registry(r *run) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	reg.MustRegister(collector{r}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}
