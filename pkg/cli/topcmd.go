package cli

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/view"
)

type topFlags struct {
	http  string
	every time.Duration
	once  bool
}

func topCommand(env Env) *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Show live what each rule and each stream does",
		Long: `top asks a running router for its counters and shows, per rule, how many entries it matches, drops and fails on, and per stream
how many are stored and wait; the busiest first. The counters are those of that router since its start.`,
		Example: `  dlog-router top
  dlog-router top --http 127.0.0.1:4281 --every 5s
  dlog-router top --once`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd.Context(), env) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.http, "http", router.DefaultHTTP, "`ADDR` of the router's /metrics")
	fl.DurationVar(&f.every, "every", 2*time.Second, "time between two looks")
	fl.BoolVar(&f.once, "once", false, "look once, without rates")
	return cmd
}

func (f *topFlags) run(ctx context.Context, env Env) error {
	if f.every < 100*time.Millisecond {
		return usagef("--every %v: at least 100ms", f.every)
	}
	url := f.http
	if !strings.Contains(url, "://") {
		url = "http://" + url
	}
	before, err := scrape(ctx, url)
	if err != nil {
		return err
	}
	if f.once {
		return before.write(env.Stdout, nil)
	}
	t := time.NewTicker(f.every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		now, err := scrape(ctx, url)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		if out, ok := env.Stdout.(*os.File); ok && term.IsTerminal(int(out.Fd())) {
			fmt.Fprint(env.Stdout, "\x1b[H\x1b[2J")
		}
		if err := now.write(env.Stdout, before); err != nil {
			return err
		}
		before = now
	}
}

// reading is one look at a router's counters: metric, then label value ("" without), then number.
type reading struct {
	url string
	at  time.Time
	all map[string]map[string]float64
}

func scrape(ctx context.Context, url string) (*reading, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/metrics", nil)
	if err != nil {
		return nil, usagef("--http %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the router at %s: %w; is it running? --http names another address", url, err)
	}
	defer res.Body.Close()
	r := &reading{url: url, at: time.Now(), all: map[string]map[string]float64{}}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		r.add(lines.Text())
	}
	if len(r.all) == 0 {
		return nil, fmt.Errorf("ask the router at %s: what answers there is no router", url)
	}
	return r, lines.Err()
}

// add takes in a line of the text format of Prometheus with at most one label, as the router's own metrics have.
func (r *reading) add(line string) {
	rest, ok := strings.CutPrefix(line, "dlog_router_")
	if !ok {
		return
	}
	i := strings.LastIndexByte(rest, ' ')
	v, err := strconv.ParseFloat(rest[i+1:], 64)
	if i < 0 || err != nil {
		return
	}
	name, label, labelled := strings.Cut(rest[:i], "{")
	if labelled {
		_, label, _ = strings.Cut(strings.TrimSuffix(label, "}"), "=")
		if label, err = strconv.Unquote(label); err != nil {
			return
		}
	}
	if r.all[name] == nil {
		r.all[name] = map[string]float64{}
	}
	r.all[name][label] = v
}

// sum adds up a metric over its labels.
func (r *reading) sum(name string) (sum float64) {
	for _, v := range r.all[name] {
		sum += v
	}
	return sum
}

// write shows the reading, with rates since the one before unless that is nil.
func (r *reading) write(out io.Writer, before *reading) error {
	var per float64
	if before != nil {
		per = r.at.Sub(before.at).Seconds()
	}
	rate := func(metric, label string) string {
		if before == nil {
			return "-"
		}
		return count(max(r.all[metric][label]-before.all[metric][label], 0) / per)
	}
	state := "ready"
	if r.sum("ready") == 0 {
		state = "NOT READY: see " + r.url + "/readyz"
	}
	if r.sum("rules_outdated") > 0 {
		state += ", OLDER RULES THAN THE FILE'S: see " + r.url + "/readyz"
	}
	fmt.Fprintf(out, "%s  %s\n", r.url, state)
	fmt.Fprintf(out, "entries: %s received (%s/s), %s delivered, %s dropped, %s dead, %s in flight\n\n",
		count(r.sum("entries_received_total")), rate("entries_received_total", ""), count(r.sum("entries_delivered_total")),
		count(r.sum("entries_dropped_total")), count(r.sum("entries_dead_total")), count(r.sum("entries_in_flight")))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.all["rule_matches_total"]) > 0 {
		fmt.Fprintln(w, "matched/s\tmatched\tdropped\tfailed\t  rule")
		for _, name := range r.busiest(before, "rule_matches_total") {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t  %s\n", rate("rule_matches_total", name), count(r.all["rule_matches_total"][name]),
				count(r.all["entries_dropped_total"][name]), count(r.all["rule_failures_total"][name]), view.Escape(nil, name))
		}
		if err := w.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(w, "stored/s\tstored\twaiting\towed\t  stream")
	for _, name := range r.busiest(before, "copies_stored_total") {
		note := ""
		if r.all["stream_refusing"][name] > 0 {
			note = "  takes nothing"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t  %s%s\n", rate("copies_stored_total", name), count(r.all["copies_stored_total"][name]),
			count(r.all["stream_waiting_messages"][name]), count(r.all["copies_owed_total"][name]-r.all["copies_paid_total"][name]), view.Escape(nil, name), note)
	}
	return w.Flush()
}

// busiest lists the labels of a metric: those that grew most since the reading before, then the greatest, then by name.
func (r *reading) busiest(before *reading, metric string) []string {
	names := make([]string, 0, len(r.all[metric]))
	for name := range r.all[metric] {
		names = append(names, name)
	}
	grown := func(name string) float64 {
		if before == nil {
			return 0
		}
		return r.all[metric][name] - before.all[metric][name]
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(grown(b), grown(a)), cmp.Compare(r.all[metric][b], r.all[metric][a]), cmp.Compare(a, b))
	})
	return names
}

// count is a number for people, with commas.
func count(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
