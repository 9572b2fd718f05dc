package sink_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/file"
)

// TestExampleFile: the file that users begin with loads, and says of the defaults what they are.
func TestExampleFile(t *testing.T) {
	cfg, err := sink.Load("../../configs/sink.toml", kinds)
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Sinks) != 3 || cfg.Namespace != "dlog" || cfg.Sinks[1].Filter == nil || cfg.Sinks[0].Filter != nil {
		t.Errorf("read as %+v", cfg)
	}
	defaults := file.New().(*file.Config)
	got := *cfg.Sinks[0].Settings.(*file.Config)
	if defaults.Path = got.Path; got != *defaults {
		t.Errorf("the example shows %+v, the defaults are %+v", got, *defaults)
	}
}

func TestFaults(t *testing.T) {
	f := func(text string, want ...string) {
		t.Helper()
		_, err := sink.Decode("s.toml", []byte(text), kinds)
		if err == nil {
			t.Errorf("no fault found in\n%s", text)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("faults of\n%s\nare\n%v\nwithout %q", text, err, w)
			}
		}
		if n := strings.Count(err.Error(), "\n") + 1; n != len(want) {
			t.Errorf("%d faults, want %d:\n%v", n, len(want), err)
		}
	}
	one := "[[sink]]\nname = \"a\"\ntype = \"file\"\nstream = \"all\"\npath = \"x\"\n"
	f("", "s.toml: no sink")
	f("namespcae = \"x\"\n"+one, `s.toml:1: namespcae: unknown key; did you mean "namespace"?`)
	f("namespace = \"X y\"\n"+one, `namespace`)
	f(one+"pahth = 1\n", `s.toml:6: sink.pahth: unknown key; did you mean "path"?`)
	f(one+"nmae = \"b\"\n", `s.toml:6: sink.nmae: unknown key; did you mean "name"?`)
	f(one+one, `s.toml:6: sink: name "a" is that of the sink in line 1`, `s.toml:6: sink: file "x" is that`)
	f("[[sink]]\nname = \"a b\"\ntype = \"file\"\npath = \"x\"\n", `name "a b"`, "stream: missing")
	f("[[sink]]\nname = \"a\"\nstream = \"all\"\ntype = \"fiel\"\n", `s.toml:4: sink.type: there is no type "fiel"; did you mean "file"?`)
	f("[[sink]]\nname = \"a\"\nstream = \"all\"\n", "type: missing; the types are console, file")
	f("[[sink]]\nname = \"a\"\nstream = \"No\"\ntype = \"file\"\npath = \"x\"\n", "stream")
	f("[[sink]]\nname = \"a\"\nstream = \"all\"\ntype = \"file\"\n", "path: missing")
	f(one+"where = [\"level>=loud\", \"~~\"]\n", "level>=loud", "~~")
	f(one+"again_window = \"10G\"\n", "again_window")
	f(one+"to = \"stdout\"\n", "sink.to: unknown key")
	f("[[sink]\n", "not valid TOML")
}

func TestLoadMissing(t *testing.T) {
	if _, err := sink.Load("no such file", kinds); !os.IsNotExist(unwrapAll(err)) {
		t.Errorf("error %v", err)
	}
}

func unwrapAll(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || u.Unwrap() == nil || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

// A file of sinks is decoded with the kinds that a program knows.
func Example_configuration() {
	text := `
[[sink]]
name   = "archive"
type   = "file"
stream = "payments"
where  = ["level>=warn"]
path   = "payments.ndjson"
`
	cfg, err := sink.Decode("sink.toml", []byte(text), map[string]sink.NewKind{"file": file.New})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, s := range cfg.Sinks {
		fmt.Println(s.Name, "carries", s.Stream, "to a", s.Type)
	}
	// Output: archive carries payments to a file
}
