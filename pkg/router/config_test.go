package router

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/rule"
)

func load(t *testing.T, toml string) (Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "router.toml")
	if err := os.WriteFile(path, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

const smallest = "[[stream]]\nname = \"rest\"\n[default]\nto = [\"rest\"]\n"

func TestLoad(t *testing.T) {
	c, err := load(t, smallest+`
[server]
listen = "127.0.0.1:0"
[in]
max_age = "3d"
max_bytes = "2GiB"
`)
	if err != nil {
		t.Fatal(err)
	}
	if c.Namespace != "dlog" || c.Server.Listen != "127.0.0.1:0" || c.Server.Data != DefaultData || c.Server.HTTP != DefaultHTTP {
		t.Errorf("defaults: %+v", c)
	}
	if k := c.In.keep(); k.MaxAge != 72*time.Hour || k.MaxBytes != 2<<30 {
		t.Errorf("in: %+v", k)
	}
	c, err = load(t, smallest+"[nats]\nurls = [\"nats://a\"]\ncreds = \"my.creds\"\n")
	if err != nil || !filepath.IsAbs(c.NATS.Creds) || !strings.HasSuffix(c.NATS.Creds, "my.creds") {
		t.Errorf("creds beside the file: %q, %v", c.NATS.Creds, err)
	}
}

func TestLoadFaults(t *testing.T) {
	f := func(toml string, want ...string) {
		t.Helper()
		_, err := load(t, toml)
		if err == nil {
			t.Errorf("%q: no error", toml)
			return
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: no %q in %v", toml, w, err)
			}
		}
	}
	f("[default]\nto = [\"nowhere\"]\n", "router.toml:2", "nowhere")
	f(smallest+"[server]\nlissten = \"x\"\n", "router.toml:6", "lissten", "listen")
	f(smallest+"[server]\nhttp = \"0.0.0.0:80\"\n", "router.toml:", "only loopback")
	f(smallest+"[server]\nhttp = \"80\"\n", "not host:port")
	f(smallest+"[nats]\ncreds = \"x\"\n", "without urls")
	f("namespace = \"Shop.1\"\n"+smallest, "router.toml:1", "namespace")
	f(smallest+"[in]\nmax_bytes = \"10G\"\nmax_age = \"x\"\n", "router.toml:6", "router.toml:7")
	f(smallest+"[[rule]]\nmatch = { level = \"loud\" }\ndrop = true\n[[rule]]\nname = \"x\"\nto = [\"gone\"]\n", "loud", "gone")
	f("not toml", "router.toml:1")
}

func TestCheckRunsTests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "router.toml")
	toml := smallest + "[[test]]\nname = \"wrong\"\nin = { service = \"a\" }\nexpect = { to = [] }\n"
	if err := os.WriteFile(path, []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Check(path); err == nil || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("a failing test passes: %v", err)
	}
	if err := Check(path + ".gone"); err == nil {
		t.Error("no file, no error")
	}
}

func TestDefaultConfig(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	set, err := rule.Compile(c.File)
	if err != nil || len(set.Streams) != 1 || set.Streams[0].Name != "all" {
		t.Fatal(set, err)
	}
}

func TestFloor(t *testing.T) {
	f := func(size, want uint64) {
		t.Helper()
		if got := floor(size); got != want {
			t.Errorf("of %d bytes %d stay free, want %d", size, got, want)
		}
	}
	f(96<<20, 16<<20)
	f(10<<30, 10<<30/50)
	f(1<<40, 1<<30)
}

func TestHeaderText(t *testing.T) {
	f := func(in, want string) {
		t.Helper()
		if got := headerText(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	f("plain", "plain")
	f("a\r\nForged: header", "a  Forged: header")
	f("\xff\x00\x7f", "?  ")
	f(strings.Repeat("é", 400), strings.Repeat("é", 256))
}
