package rule_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/rule"
)

// The manual's examples compile, and their tests hold.
func TestManual(t *testing.T) {
	t.Setenv("DLOG_REDACT_KEY", testKey)
	text, err := os.ReadFile("../../docs/rules.md")
	if err != nil {
		t.Fatal(err)
	}
	const streams = "[default]\nto = ['rest']\n[[stream]]\nname = 'rest'\n[[stream]]\nname = 'audit'\n[[stream]]\nname = 'search'\n" +
		"[[stream]]\nname = 'pager'\n[[stream]]\nname = 'shop'\n"
	blocks := regexp.MustCompile("(?s)```toml\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 4 {
		t.Fatalf("%d examples found", len(blocks))
	}
	for _, block := range blocks {
		example := block[1]
		if !strings.Contains(example, "[default]") {
			example = streams + example
		}
		set := mustCompile(t, example)
		if err := set.RunTests(); err != nil || set.Tests() == 0 {
			t.Errorf("%d tests: %v\n%s", set.Tests(), err, example)
		}
	}
}

// The example of a configuration is one, and its tests hold.
func TestExampleConfig(t *testing.T) {
	var file struct {
		rule.File
		Server config.Table `toml:"server"`
		NATS   config.Table `toml:"nats"`
		In     config.Table `toml:"in"`
	}
	if err := config.Load("../../configs/router.toml", &file); err != nil {
		t.Fatal(err)
	}
	set, err := rule.Compile(file.File)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.RunTests(); err != nil || set.Tests() != 6 {
		t.Errorf("%d tests: %v", set.Tests(), err)
	}
}
