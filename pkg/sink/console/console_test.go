package console

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/dlog-fabric/dlog/pkg/sink"
	"github.com/dlog-fabric/dlog/pkg/sink/sinktest"
)

func TestConformance(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) sinktest.Destination {
		var out bytes.Buffer
		return sinktest.Destination{
			Kind: func(t *testing.T) sink.Kind {
				k, err := (&Config{To: "stdout", Format: "json"}).Kind(sink.Env{Stdout: &out})
				if err != nil {
					t.Fatal(err)
				}
				return k
			},
			Lines: func(*testing.T) []string { return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n") },
		}
	})
}

// TestPretty: what an entry says cannot steer the terminal.
func TestPretty(t *testing.T) {
	var out bytes.Buffer
	k, err := (&Config{To: "stderr", Format: "pretty"}).Kind(sink.Env{Stderr: &out})
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"{\"level\":\"error\",\"message\":\"\\u001b[2Jgone\",\"n\":1}", "no JSON \x1b[2J"}
	b := sink.Batch{}
	for _, line := range lines {
		b.Entries = append(b.Entries, sink.Entry{Line: []byte(line), Subject: "dlog.to.a.shop.error.-", Time: time.Unix(0, 0)})
	}
	if err := k.Commit(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "\x1b") || strings.Count(out.String(), "\n") != 2 || !strings.Contains(out.String(), "shop") {
		t.Errorf("written: %q", out.String())
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestBroken(t *testing.T) {
	k, err := (&Config{To: "stdout", Format: "auto"}).Kind(sink.Env{Stdout: broken{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Commit(t.Context(), sink.Batch{}); err != nil {
		t.Errorf("a batch without entries: %v", err)
	}
	if err := k.Commit(t.Context(), sink.Batch{Entries: []sink.Entry{{Line: []byte("{}")}}}); err == nil {
		t.Error("a write that failed was committed")
	}
}

func TestValidate(t *testing.T) {
	if err := New().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	if err := (&Config{To: "printer", Format: "fancy"}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("faults: %v", err)
	}
	if _, err := (&Config{To: "stdout"}).Kind(sink.Env{}); err == nil {
		t.Error("a console without a stream was made")
	}
}
