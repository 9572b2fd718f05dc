package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/config"
)

type limits struct {
	MaxAge   config.Duration `toml:"max_age"`
	MaxBytes config.Size     `toml:"max_bytes"`
}

type stream struct {
	config.Pos
	Name  string   `toml:"name"`
	Sinks []string `toml:"sinks"`
	limits
}

func (s *stream) Validate() error {
	if s.Name == "" {
		return s.Errorf("stream.name", "a stream needs a name")
	}
	return nil
}

type file struct {
	Namespace string            `toml:"namespace"`
	Replicas  int8              `toml:"replicas"`
	Share     float64           `toml:"share"`
	Quiet     bool              `toml:"quiet"`
	From      time.Time         `toml:"from"`
	Limits    *limits           `toml:"in"`
	Streams   []stream          `toml:"stream"`
	Labels    map[string]string `toml:"labels"`
	Match     config.Table      `toml:"match"`
	Free      any               `toml:"free"`
	Secret    string            `toml:"-"`
}

func (file) LaterKeys() []string { return []string{"include"} }

func TestDecodeOverDefaults(t *testing.T) {
	v := file{Namespace: "dlog", Replicas: 1, Limits: &limits{MaxAge: 5, MaxBytes: 7}}
	err := config.Decode("f.toml", []byte(`
replicas = 3
share = 1
quiet = true
from = 2026-12-01T00:00:00Z
labels = { b = "2", a = "1" }
free = [1, "x"]
[in]
max_bytes = "1KiB"
[[stream]]
name = "a"
sinks = ["x", "y"]
max_age = "2s"
[[stream]]
name = "b"
`), &v)
	if err != nil {
		t.Fatal(err)
	}
	if v.Namespace != "dlog" || v.Replicas != 3 || v.Share != 1 || !v.Quiet || v.Limits.MaxAge != 5 || v.Limits.MaxBytes != 1024 || v.Labels["b"] != "2" {
		t.Errorf("decoded %+v", v)
	}
	if len(v.Streams) != 2 || v.Streams[0].Sinks[1] != "y" || v.Streams[0].MaxAge != config.Duration(2*time.Second) || v.Streams[1].Line != 14 {
		t.Errorf("streams %+v", v.Streams)
	}
}

// All faults are in one error, in the order of the file.
func TestDecodeFaults(t *testing.T) {
	text := `namespce = "x"
replicas = 300
share = "much"
quiet = "yes"
from = "monday"
include = ["x"]
Secret = "s"
[in]
max_bytes = 10
max_age = "10 years"
[[stream]]
sinks = [
  "a",
  7,
]
[[stream]]
name = "b"
max_agee = "1d"
[labels]
a = 1
[match]
x = 1
`
	want := `f.toml:1: namespce: unknown key; did you mean "namespace"?
f.toml:2: replicas: the number 300 is too large
f.toml:3: share: expected a number, found the text "much"
f.toml:4: quiet: expected true or false, found the text "yes"
f.toml:5: from: expected a time like 2026-12-01T00:00:00Z without quotes, found the text "monday"
f.toml:6: include: is not supported by this version of dlog
f.toml:7: Secret: unknown key; did you mean "share"?
f.toml:9: in.max_bytes: expected a size like "10GiB", found the number 10
f.toml:10: in.max_age: "10 years" is not a duration: units are d, h, m, s and ms
f.toml:11: stream.name: a stream needs a name
f.toml:14: stream.sinks: expected a text in quotes, found the number 7
f.toml:18: stream.max_agee: unknown key; did you mean "max_age"?
f.toml:20: labels.a: expected a text in quotes, found the number 1`
	var v file
	err := config.Decode("f.toml", []byte(text), &v)
	if got := fmt.Sprint(err); got != strings.Replace(want, `; did you mean "share"?`, "", 1) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if n := len(config.Faults(err)); n != 13 {
		t.Errorf("%d faults", n)
	}
}

func TestDecodeWrongShape(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		var v file
		if got := fmt.Sprint(config.Decode("f.toml", []byte(text), &v)); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", text, got, want)
		}
	}
	f("[stream]\nname = 'x'", "f.toml:1: stream: expected an array of tables, headed [[stream]], found a table")
	f("in = 5", "f.toml:1: in: expected a table, found the number 5")
	f("match = []", "f.toml:1: match: expected a table, found an array")
	f("labels = 1.5", "f.toml:1: labels: expected a table, found the number 1.5")
	f("replicas = -1.5", "f.toml:1: replicas: expected a whole number, found the number -1.5")
	f("namespace = \"a", "f.toml:1: not valid TOML: unexpected EOF; expected '\"'")
	f("\n\na = 1\na = 2", "f.toml:4: not valid TOML: Key 'a' has already been defined.")
	f("a = 1\xff", "f.toml:1: not valid TOML: invalid UTF-8 byte: 0xff")
}

// What Validate says of a key that could not be decoded is left out.
func TestDecodeSaysEachFaultOnce(t *testing.T) {
	var v file
	err := config.Decode("f.toml", []byte("[[stream]]\nname = 5"), &v)
	if got := fmt.Sprint(err); !strings.HasPrefix(got, "f.toml:2: stream.name: expected a text") {
		t.Errorf("got %s", got)
	}
	if err := config.Decode("f", nil, v); err == nil {
		t.Error("a target that is no pointer is accepted")
	}
}

// Base is embedded: its Validate counts beside the one that hides it.
type Base struct {
	Name string `toml:"name"`
}

func (b *Base) Validate() error { return errors.New("base is asked") }

type derived struct{ Base }

func (d *derived) Validate() error {
	return errors.Join(errors.New("derived is asked"), errors.New("base is asked"))
}

func TestValidateEmbedded(t *testing.T) {
	err := config.Decode("f", []byte("name = 'x'"), &derived{})
	if got := fmt.Sprint(err); got != "f: derived is asked\nf: base is asked" {
		t.Errorf("got %s", got)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f.toml")
	if err := config.Load(path, &file{}); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "read configuration: ") {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte("replicas = true"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := config.Load(path, &file{}); !strings.Contains(err.Error(), path+":1: replicas: expected a whole number, found true") {
		t.Error(err)
	}
}

func TestTablePlaces(t *testing.T) {
	text := "\ufeff# comment\n" + `a = """
x = 1
""""
[b.c]
d.e = { f = 1, "g.h" = [
  1, # one
  { i = '''
]''' },
] }
[[r]]
k = 1
[r.sub]
z = 1
[[r]]
"k\u0041" = 2
  [[r.deep]]
  m = 1
  [[r.deep]]
  m = 2
`
	top, err := config.Parse("", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	var walk func(item config.Item)
	walk = func(item config.Item) {
		got = append(got, fmt.Sprintf("%s:%d", item.Path, item.Line))
		switch v := item.Value.(type) {
		case config.Table:
			for _, i := range v.Items {
				walk(i)
			}
		case []config.Item:
			for _, i := range v {
				walk(i)
			}
		}
	}
	for _, item := range top.Items {
		walk(item)
	}
	want := "a:2 b:5 b.c:5 b.c.d:6 b.c.d.e:6 b.c.d.e.f:6 b.c.d.e.g.h:6 b.c.d.e.g.h:7 b.c.d.e.g.h:8 b.c.d.e.g.h.i:8 " +
		"r:11 r:11 r.k:12 r.sub:13 r.sub.z:14 r:15 r.kA:16 r.deep:17 r.deep:17 r.deep.m:18 r.deep:19 r.deep.m:20"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("got  %s\nwant %s", s, want)
	}
}

func TestFault(t *testing.T) {
	var v struct {
		Self config.Table `toml:",self"`
		In   struct {
			Self config.Table `toml:",self"`
			To   []string     `toml:"to"`
		} `toml:"in"`
	}
	if err := config.Decode("f", []byte("# c\n[in]\nto = [\n'a',\n'b']"), &v); err != nil {
		t.Fatal(err)
	}
	f := func(t2 config.Table, key string, n int, want string) {
		t.Helper()
		if got := t2.Fault(key, n, "bad").Error(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	f(v.Self, "in.to", 1, "f:5: in.to: bad")
	f(v.Self, "in.to", -1, "f:3: in.to: bad")
	f(v.Self, "in.from", -1, "f:2: in.from: bad")
	f(v.Self, "out", -1, "f: out: bad")
	f(v.In.Self, "to", 0, "f:4: in.to: bad")
	f(v.In.Self, "from", 0, "f:2: in.from: bad")
	f(config.Table{}, "x.y", 0, "x.y: bad")
}

func TestJoin(t *testing.T) {
	a := &config.Error{File: "f", Line: 9, Msg: "late"}
	b := &config.Error{File: "f", Line: 1, Key: "k", Msg: "early"}
	err := config.Join(errors.New("other"), errors.Join(a, nil), b, a, &config.Error{File: "f", Msg: "no line"}, &config.Error{Line: 3, Msg: "no file"})
	if got, want := fmt.Sprint(err), "line 3: no file\nf:1: k: early\nf:9: late\nf: no line\nother"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if config.Join(nil, errors.Join()) != nil {
		t.Error("no faults are an error")
	}
}

// FuzzParse: whatever is TOML has a place for each of its keys, and decoding it
// never panics.
func FuzzParse(f *testing.F) {
	f.Add("a = 1\n[b]\nc = [1, {d = 2}]\n[[e]]\n'f' = \"\"\"x\"\"\"")
	f.Add("a.b.c = {}\n[[x.y]]\n[x.y.z]\n\"q\\\"\" = '''\n'''")
	f.Add("x = [[1, 2], [{a=1},\n{b=2}]] # c\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		top, err := config.Parse("f", []byte(text))
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		lines := strings.Count(text, "\n") + 1
		var walk func(at int, items []config.Item)
		walk = func(at int, items []config.Item) {
			for _, item := range items {
				if item.Line < 1 || item.Line > lines {
					t.Errorf("%s: line %d of %d", item.Path, item.Line, lines)
				}
				switch v := item.Value.(type) {
				case config.Table:
					walk(item.Line, v.Items)
				case []config.Item:
					walk(item.Line, v)
				}
			}
		}
		walk(1, top.Items)
		_ = top.Decode(&file{})
	})
}
