// Command testreport reads the output of "go test -json", prints it as go test would, and notes the tests that were skipped: a
// test that did not run must not look like one that passed. It ends with exit code 1 where a test failed.
//
//	go test -json ./... | testreport -skipped FILE -elsewhere 'TestNATSCLI|Alloc'
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// event is one line of go test -json, see "go doc test2json".
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

type report struct {
	elsewhere *regexp.Regexp
	output    map[string]*strings.Builder // of each test that runs
	skipped   []string
	failed    bool
}

func main() {
	skipped := flag.String("skipped", "", "write the tests that were skipped to this file, a line each")
	elsewhere := flag.String("elsewhere", "^$", "tests whose skipping is no news: they run in another part")
	flag.Parse()
	r := &report{elsewhere: regexp.MustCompile(*elsewhere), output: map[string]*strings.Builder{}}
	if err := r.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testreport:", err)
		os.Exit(1)
	}
	if *skipped != "" {
		text := strings.Join(r.skipped, "")
		if err := os.WriteFile(*skipped, []byte(text), 0o600); err != nil {
			fmt.Fprintln(os.Stderr, "testreport:", err)
			os.Exit(1)
		}
	}
	if r.failed {
		os.Exit(1)
	}
}

func (r *report) read(in io.Reader, out io.Writer) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			r.failed = true // what is not JSON comes from a build that failed
			fmt.Fprintln(out, sc.Text())
			continue
		}
		r.event(e, out)
	}
	return sc.Err()
}

func (r *report) event(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if e.Test == "" {
			if !strings.HasPrefix(e.Output, "?") && e.Output != "PASS\n" && !strings.HasPrefix(e.Output, "-test.shuffle") {
				fmt.Fprint(out, e.Output)
			}
			return
		}
		if r.output[key] == nil {
			r.output[key] = &strings.Builder{}
		}
		r.output[key].WriteString(e.Output)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "build-fail":
		r.failed = true
	case "fail":
		r.failed = true
		if b := r.output[key]; b != nil {
			fmt.Fprint(out, b)
		}
		delete(r.output, key)
	case "skip":
		if e.Test != "" && !r.elsewhere.MatchString(e.Test) {
			r.skipped = append(r.skipped, fmt.Sprintf("%s: %s\n", key, reason(r.output[key])))
		}
		delete(r.output, key)
	case "pass":
		delete(r.output, key)
	}
}

// reason finds what the test said when it was skipped: the line with its place in the source.
func reason(b *strings.Builder) string {
	if b == nil {
		return "no reason given"
	}
	for line := range strings.SplitSeq(b.String(), "\n") {
		if place, text, ok := strings.Cut(strings.TrimSpace(line), ": "); ok && strings.Contains(place, ".go:") {
			return text
		}
	}
	return "no reason given"
}
