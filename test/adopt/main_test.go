// Package adopt walks the way of docs/adopt.md with a chain of three services, and holds what that page shows against what comes out:
// each piece of Go on the page stands in these files, and each output is compared but for times, ids and ports.
package adopt

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/dlog-fabric/dlog/pkg/cli"
)

// runAs names the program that this test binary is when it starts itself.
const runAs = "DLOG_TEST_RUN_AS"

func TestMain(m *testing.M) {
	switch os.Getenv(runAs) {
	case "dlog-sink":
		os.Exit(cli.Sink())
	case "dlog-agent":
		os.Exit(cli.Agent())
	}
	zerolog.TimeFieldFormat = time.RFC3339Nano // its default is whole seconds
	os.Exit(m.Run())
}

// program prepares one of the programs.
func program(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), runAs+"="+name, "TZ=UTC")
	return cmd
}

// sink runs dlog-sink and returns what it prints.
func sink(t *testing.T, args ...string) string {
	t.Helper()
	cmd := program("dlog-sink", args...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("dlog-sink %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// page returns docs/adopt.md.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/adopt.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of the page in a language, "" for those without.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	var found []string
	parts := strings.Split(page(t), "```")
	for i := 1; i < len(parts); i += 2 {
		head, body, _ := strings.Cut(parts[i], "\n")
		if head == language {
			found = append(found, body)
		}
	}
	return found
}

var (
	gutter = regexp.MustCompile(`(?m)^(?:\d\d:\d\d:\d\d\.\d{3}|            ).{10}`)
	masks  = []*regexp.Regexp{
		regexp.MustCompile(`[0-9a-f]{32}`),
		regexp.MustCompile(`\b[0-9a-f]{16}\b`),
		regexp.MustCompile(`127\.0\.0\.1:\d+`),
		regexp.MustCompile(`\w{3} \d+ \w{3} \d{4} UTC`),
		regexp.MustCompile(`x[0-9a-f]{16}~[a-z2-7]{5}`),
		regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`),
		regexp.MustCompile(`\d[\d.]*(?:µs|ms|s)\b`),
	}
)

// masked takes out of an output what differs from run to run.
func masked(s string) string {
	s = gutter.ReplaceAllString(s, "")
	for _, m := range masks {
		s = m.ReplaceAllString(s, "#")
	}
	return regexp.MustCompile(` +`).ReplaceAllString(s, " ")
}

// shows wants a block of the page that says what came out.
func shows(t *testing.T, out string) {
	t.Helper()
	for _, b := range blocks(t, "") {
		if strings.Contains(masked(b), masked(out)) {
			return
		}
	}
	t.Errorf("docs/adopt.md does not show this:\n%s", out)
}

// TestLines wants every piece of Go on the page to stand in services_test.go, line by line, comments and indentation aside.
func TestLines(t *testing.T) {
	text, err := os.ReadFile("services_test.go")
	if err != nil {
		t.Fatal(err)
	}
	source := bare(string(text))
	all := blocks(t, "go")
	if len(all) < 4 {
		t.Errorf("%d pieces of Go on the page", len(all))
	}
	for _, b := range all {
		for piece := range strings.SplitSeq(b, "\n\n") { // a blank line stands for what is left out
			if !strings.Contains(source, bare(piece)) {
				t.Errorf("no test has these lines of docs/adopt.md:\n%s", piece)
			}
		}
	}
}

// bare takes comments, indentation and blank lines away.
func bare(code string) string {
	var b strings.Builder
	for line := range strings.Lines(code) {
		line, _, _ = strings.Cut(line, "// ")
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
