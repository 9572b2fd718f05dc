package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dlog-fabric/dlog/pkg/config"
)

func secret(t *testing.T, text string) config.Secret {
	t.Helper()
	var s config.Secret
	if err := s.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSecretRead(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "empty"), []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DLOG_TEST_KEY", "from the environment")
	t.Setenv("DLOG_TEST_NONE", "")
	f := func(text, want, fault string) {
		t.Helper()
		got, err := secret(t, text).Read(dir)
		if string(got) != want || (err == nil) != (fault == "") || err != nil && !strings.Contains(err.Error(), fault) {
			t.Errorf("%q: got %q, %v", text, got, err)
		}
	}
	f("as it stands", "as it stands", "")
	f("env:DLOG_TEST_KEY", "from the environment", "")
	f("env:DLOG_TEST_NONE", "", "variable DLOG_TEST_NONE is not set")
	f("file:key", "from a file", "")
	f("file:"+filepath.Join(dir, "key"), "from a file", "")
	f("file:empty", "", "the file is empty")
	f("file:nothere", "", "nothere")
}

func TestSecretIsNeverShown(t *testing.T) {
	var into struct {
		Key config.Secret `toml:"key"`
	}
	if err := config.Decode("f.toml", []byte(`key = "hush-hush"`), &into); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(into)
	if err != nil {
		t.Fatal(err)
	}
	shown := fmt.Sprintf("%v %+v %#v %s %q %s", into, into, into, into.Key, into.Key, asJSON)
	shown += fmt.Sprintf("%v %+v %#v", struct{ hidden config.Secret }{into.Key}, struct{ hidden config.Secret }{into.Key}, struct{ hidden config.Secret }{into.Key})
	if strings.Contains(shown, "hush") || into.Key.IsZero() {
		t.Error(shown)
	}
	err = config.Decode("f.toml", []byte(`key = ["hush-hush"]`), &into)
	if err == nil || strings.Contains(err.Error(), "hush") {
		t.Error(err)
	}
}
