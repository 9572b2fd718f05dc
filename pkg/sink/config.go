package sink

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/subject"
)

// Config is a file of sinks: what `dlog-sink run --config FILE` reads.
type Config struct {
	// Namespace is the first token of all subjects; "dlog" if the file names none.
	Namespace string
	// NATS says how to reach the server, where the options of the command line do not.
	NATS NATS
	// Sinks in the order of the file; at least one.
	Sinks []Sink
}

// NATS is how a server is reached. All fields may be empty.
type NATS struct {
	// URLs of the servers of one cluster. None means nats://127.0.0.1:4222.
	URLs []string `toml:"urls"`
	// Creds is a file with the credentials of a user, CA one with the certificates to trust.
	Creds string `toml:"creds"`
	CA    string `toml:"ca"`
}

// Sink is one [[sink]] table: what is common to all kinds, and the settings of its own.
type Sink struct {
	Spec
	Filter   Filter   // from Spec.Where; nil lets everything through
	Settings Settings // the type's own keys
}

// Spec is what the [[sink]] tables of all kinds have in common.
type Spec struct {
	// Name is the name of the sink, and of its durable consumer: 1 to 64 of A-Z a-z 0-9 _ -.
	Name string `toml:"name"`
	// Type names the kind.
	Type string `toml:"type"`
	// Stream is a stream of the router, "in" for everything as it was said, or "dead" for the dead letters.
	Stream string `toml:"stream"`
	// Where are conditions that an entry must fulfil, all of them.
	Where []string `toml:"where"`

	// Namespace is the file's.
	Namespace string `toml:"-"`
}

// Validate reports what is wrong with the spec, all of it.
func (s *Spec) Validate() error {
	var errs []error
	if !validName(s.Name) {
		errs = append(errs, fmt.Errorf("name %q: a sink is named by 1 to 64 letters, digits, _ or -", s.Name))
	}
	if s.Stream == "" {
		errs = append(errs, errors.New(`stream: missing; write the name of a stream of the router, "in" or "dead"`))
	} else if s.Stream != streamIn && s.Stream != streamDead {
		if err := subject.CheckStream(s.Stream); err != nil {
			errs = append(errs, fmt.Errorf("stream: %w", err))
		}
	}
	if err := subject.CheckNamespace(s.Namespace); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func validName(s string) bool {
	ok := func(c rune) bool {
		return c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	return s != "" && len(s) <= 64 && strings.IndexFunc(s, func(c rune) bool { return !ok(c) }) < 0
}

// NewKind makes the settings of a kind with their defaults. A program lists the kinds that it knows in a map, by type.
type NewKind func() Settings

// Settings are the keys of a [[sink]] that belong to its type: a pointer to a struct that package config decodes into.
type Settings interface {
	// Validate reports what is wrong with the settings, all of it. It touches nothing outside.
	Validate() error
	// Kind makes the destination without opening it.
	Kind(env Env) (Kind, error)
}

// Env is what a kind may need of its surroundings.
type Env struct {
	Spec
	// Log receives what an operator should know. The zero value discards it.
	Log zerolog.Logger
	// Stdout and Stderr of the program.
	Stdout, Stderr io.Writer
	// Metrics is where a kind registers metrics of its own; each of them gets the sink's name as the label "sink". Nil: nobody asks
	// for them.
	Metrics prometheus.Registerer
}

// Load reads a file of sinks. All its faults are in the error, each with its line.
func Load(path string, kinds map[string]NewKind) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("read configuration: %w", err)
	}
	return Decode(path, data, kinds)
}

// Decode is Load for a text that was read already.
func Decode(file string, data []byte, kinds map[string]NewKind) (Config, error) {
	shape := struct {
		Namespace string         `toml:"namespace"`
		NATS      NATS           `toml:"nats"`
		Sinks     []config.Table `toml:"sink"`
	}{Namespace: "dlog"}
	errs := []error{config.Decode(file, data, &shape)}
	cfg := Config{Namespace: shape.Namespace, NATS: shape.NATS}
	if len(shape.Sinks) == 0 && errs[0] == nil {
		errs = append(errs, &config.Error{File: file, Msg: "no sink: write a [[sink]] table with name, type and stream"})
	}
	taken := map[string]int{}
	for _, t := range shape.Sinks {
		s, err := decodeSink(t, cfg.Namespace, kinds)
		errs = append(errs, err)
		for _, what := range s.claims() {
			if line := taken[what]; line > 0 {
				errs = append(errs, t.Errorf("%s is that of the sink in line %d already", what, line))
			}
			taken[what] = t.Line
		}
		cfg.Sinks = append(cfg.Sinks, s)
	}
	return cfg, config.Join(errs...)
}

// claims are what no other sink of the file may have.
func (s Sink) claims() []string {
	var out []string
	if s.Name != "" {
		out = append(out, fmt.Sprintf("name %q", s.Name))
	}
	if e, ok := s.Settings.(Exclusive); ok && e.Destination() != "" {
		out = append(out, fmt.Sprintf("%s %q", s.Type, e.Destination()))
	}
	return out
}

// NoSettings is the NewKind of a type without keys of its own: made makes a destination, without opening it, for each [[sink]] that has
// the type.
func NoSettings(made func(Env) (Kind, error)) NewKind {
	return func() Settings { return &noSettings{made} }
}

type noSettings struct{ made func(Env) (Kind, error) }

func (*noSettings) Validate() error              { return nil }
func (s *noSettings) Kind(env Env) (Kind, error) { return s.made(env) }

// Exclusive is implemented by settings whose destination takes one sink only: Destination names it, so that two sinks of a file
// that have the same are found when it is read.
type Exclusive interface{ Destination() string }

// decodeSink decodes one [[sink]]: the common keys by themselves, the others as its type's.
func decodeSink(t config.Table, namespace string, kinds map[string]NewKind) (Sink, error) {
	s := Sink{Spec: Spec{Namespace: namespace}}
	common := keysOf(&s.Spec)
	others := t.Without(common...)
	own := t
	for _, item := range others.Items {
		own = own.Without(item.Key)
	}
	errs := []error{own.Decode(&s.Spec)}
	make, err := kindOf(t, s.Type, kinds)
	if err != nil {
		return s, config.Join(append(errs, err)...)
	}
	s.Settings = make()
	known := keysOf(s.Settings)
	for _, item := range others.Items {
		if !slices.Contains(known, item.Key) {
			errs = append(errs, config.Unknown(item, append(slices.Clone(known), common...)))
			others = others.Without(item.Key)
		}
	}
	errs = append(errs, others.Decode(s.Settings))
	if s.Filter, err = filterOf(s.Where); err != nil {
		for _, err := range config.Faults(err) {
			errs = append(errs, t.Errorf("where: %v", err))
		}
	}
	return s, config.Join(errs...)
}

func kindOf(t config.Table, name string, kinds map[string]NewKind) (NewKind, error) {
	if k, ok := kinds[name]; ok {
		return k, nil
	}
	known := make([]string, 0, len(kinds))
	for k := range kinds {
		known = append(known, k)
	}
	slices.Sort(known)
	item, ok := t.Get("type")
	if !ok {
		return nil, t.Errorf("type: missing; the types are %s", strings.Join(known, ", "))
	}
	if near, ok := config.Nearest(name, known); ok {
		return nil, item.Errorf("there is no type %q; did you mean %q?", name, near)
	}
	return nil, item.Errorf("there is no type %q; the types are %s", name, strings.Join(known, ", "))
}

// keysOf lists the keys that package config decodes into a pointer to a struct.
func keysOf(into any) []string {
	t := reflect.TypeOf(into)
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for _, f := range reflect.VisibleFields(t.Elem()) {
		if tag := f.Tag.Get("toml"); tag != "" && tag != "-" && f.IsExported() {
			keys = append(keys, tag)
		}
	}
	return keys
}
