package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/dlog-fabric/dlog/pkg/entry"
	"github.com/dlog-fabric/dlog/pkg/router"
	"github.com/dlog-fabric/dlog/pkg/rule"
	"github.com/dlog-fabric/dlog/pkg/subject"
	"github.com/dlog-fabric/dlog/pkg/view"
)

type explainFlags struct {
	config, subject string
	output
}

func routerExplainCommand(env Env) *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain --config FILE [--subject S] < ENTRIES",
		Short: "Show what the rules of a file make of entries, and why",
		Long: `explain reads entries, one JSON object on a line, and tells for each what every rule had to say: the first condition that fails,
with the value it saw, or what its actions did, fields before and after, and which streams got their copy from it. It asks no
server.

Service, level and path come from the subject that --subject gives, without it from the entry: dlog.svc (else the field service),
level, dlog.path; with dlog.event it is one of the entries that frame tasks.`,
		Example: `  dlog-router explain --config router.toml < entries.log
  echo '{"level":"warn","duration_ms":900,"service":"payments"}' | dlog-router explain --config router.toml
  dlog-router explain --config router.toml --subject dlog.in.payments.warn.place-order --format json < entries.log`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return f.run(env) },
	}
	cmd.Flags().StringVar(&f.config, "config", "", "`FILE` with the rules")
	cmd.Flags().StringVar(&f.subject, "subject", "", "the subject `S` that all entries travelled under")
	f.addFlag(cmd, "text", "json")
	return cmd
}

func (f *explainFlags) run(env Env) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.config == "" {
		return usagef("--config is missing: explain wants the file with the rules")
	}
	cfg, err := router.Load(f.config)
	if err != nil {
		return usage(err)
	}
	set, err := rule.Compile(cfg.File)
	if err != nil {
		return usage(err)
	}
	var subj subject.Subject
	if f.subject != "" {
		if subj, err = subject.Parse(f.subject); err != nil {
			return usage(err)
		}
	}
	out := bufio.NewWriter(env.Stdout)
	asJSON := json.NewEncoder(out)
	asJSON.SetEscapeHTML(false)
	err = eachLine(env.Stdin, func(n int, line []byte, whole bool) error {
		x := explainLine(set, subj, n, line, whole)
		if f.json() {
			return asJSON.Encode(x)
		}
		return x.text(out)
	})
	if err != nil {
		return fmt.Errorf("explain entries: %w", err)
	}
	return out.Flush()
}

// printWarnings says what the rules of a file can hardly mean.
func printWarnings(env Env, cfg router.Config) error {
	set, err := rule.Compile(cfg.File)
	if err != nil {
		return err
	}
	for _, w := range set.Warnings() {
		fmt.Fprintln(env.Stderr, "warning:", w)
	}
	return nil
}

// explained is what explain says of one line: the JSON form, and what the text is made of.
type explained struct {
	Line      int             `json:"line"`
	Subject   *string         `json:"subject"`
	Rules     []explainedRule `json:"rules"`
	To        []explainedCopy `json:"to"`
	Default   bool            `json:"default"`
	DroppedBy *string         `json:"dropped_by"`
	DeadBy    *string         `json:"dead_by"`
	Error     *string         `json:"error"` // of the line, or of the rule that it is dead by
}

type explainedRule struct {
	Rule    string            `json:"rule"`
	Matched bool              `json:"matched"`
	Why     *string           `json:"why"` // not matched
	Does    *string           `json:"does"`
	Changes []explainedChange `json:"changes"`
	To      []string          `json:"to"`
}

type explainedChange struct {
	Action string          `json:"action"`
	Field  string          `json:"field"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

type explainedCopy struct {
	Stream  string          `json:"stream"`
	Subject string          `json:"subject"`
	Entry   json.RawMessage `json:"entry"`
}

// explainLine asks the rules. A line that is no entry becomes a dead letter of a router, and is said to.
func explainLine(set *rule.Set, subj subject.Subject, n int, line []byte, whole bool) explained {
	x := explained{Line: n, Rules: []explainedRule{}, To: []explainedCopy{}}
	if !whole {
		return x.bad(fmt.Sprintf("longer than %d MiB", maxFileLine>>20))
	}
	if subj.Kind == "" {
		var err error
		if subj, err = subjectOf(set.Namespace, line); err != nil {
			return x.bad(err.Error())
		}
	}
	said := subjectText(subj)
	x.Subject = &said
	e, err := set.Explain(subj, line)
	if err != nil {
		return x.bad(err.Error())
	}
	for _, s := range e.Steps {
		x.Rules = append(x.Rules, explainStep(s))
	}
	for _, c := range e.Copies {
		x.To = append(x.To, explainedCopy{c.Stream, c.Subject, c.Line})
	}
	x.Default, x.DroppedBy, x.DeadBy, x.Error = e.Default, orNull(e.Dropped), orNull(e.Dead), orNull(e.Fault)
	return x
}

func (x explained) bad(why string) explained {
	x.Error = &why
	return x
}

func explainStep(s rule.Step) explainedRule {
	r := explainedRule{Rule: s.Rule, Matched: s.Matched, Why: orNull(s.Why), Does: orNull(s.Does), Changes: []explainedChange{}, To: s.Sent}
	if r.To == nil {
		r.To = []string{}
	}
	for _, d := range s.Did {
		for _, c := range d.Changes {
			r.Changes = append(r.Changes, explainedChange{d.Action, c.Field, c.Before, c.After})
		}
	}
	return r
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// subjectOf is the subject that an entry would travel under.
func subjectOf(ns string, line []byte) (subject.Subject, error) {
	e, err := entry.Parse(line)
	if err != nil {
		return subject.Subject{}, err
	}
	service := e.Meta.Svc
	if v, _ := e.Field("service"); service == "" && v.Kind == entry.String {
		service = string(v.Text(nil))
	}
	level := e.Level.Token()
	if e.Meta.Event != "" {
		level = subject.TaskLevel
	}
	return subject.Parse(subject.In(ns, service, level, e.Meta.Path))
}

func subjectText(s subject.Subject) string {
	names := s.Names
	if names == "" {
		names = "-"
	}
	return strings.Join([]string{s.NS, s.Kind, s.ServiceToken, s.Level, names}, ".")
}

// text writes what stands in x for people.
func (x explained) text(w io.Writer) error {
	var b []byte
	line := func(indent int, parts ...string) {
		b = append(b, strings.Repeat(" ", indent)...)
		b = append(view.Escape(b, strings.TrimRight(strings.Join(parts, ""), " ")), '\n')
	}
	head := fmt.Sprintf("line %d", x.Line)
	if x.Subject != nil {
		head += "  " + *x.Subject
	}
	line(0, head)
	width := 0
	for _, r := range x.Rules {
		width = max(width, view.Width(r.Rule))
	}
	for _, r := range x.Rules {
		name := r.Rule + strings.Repeat(" ", width-view.Width(r.Rule)+2)
		switch {
		case !r.Matched:
			line(2, name, "- ", deref(r.Why))
		case r.Does == nil:
			line(2, name, "matched")
		default:
			line(2, name, "matched: ", deref(r.Does))
		}
		for _, c := range r.Changes {
			line(6+width, c.Action, " ", c.Field, ": ", shown(c.Before), " → ", shown(c.After))
		}
		if len(r.To) > 0 {
			line(6+width, "sent to ", strings.Join(r.To, ", "))
		}
	}
	line(2, x.end())
	_, err := w.Write(append(b, '\n'))
	return err
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// shown is a value on one line.
func shown(raw json.RawMessage) string {
	const most = 200
	switch {
	case raw == nil:
		return "(absent)"
	case len(raw) > most:
		return strings.ToValidUTF8(string(raw[:most]), "") + "…"
	}
	return string(raw)
}

// end says what became of the entry.
func (x explained) end() string {
	if x.Error != nil && x.DeadBy == nil {
		return "= dead letter (json): " + *x.Error
	}
	var ends []string
	if len(x.To) > 0 {
		ends = append(ends, x.sent())
	}
	if x.DroppedBy != nil {
		ends = append(ends, "dropped by "+*x.DroppedBy)
	}
	if x.DeadBy != nil {
		ends = append(ends, fmt.Sprintf("dead letter (rule) by %s: %s", *x.DeadBy, deref(x.Error)))
	}
	return "= " + strings.Join(ends, ", then ")
}

func (x explained) sent() string {
	var to []string
	for _, c := range x.To {
		name := c.Stream
		if s, err := subject.Parse(c.Subject); err == nil && x.Subject != nil && s.Level != levelOf(*x.Subject) {
			name += " as " + s.Level
		}
		to = append(to, name)
	}
	text := "to " + strings.Join(to, ", ")
	if x.Default {
		text += " [default]"
	}
	return text
}

func levelOf(subj string) string {
	s, _ := subject.Parse(subj)
	return s.Level
}
