package file

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	stampForm   = "20060102T150405Z"
	packSuffix  = ".zst"
	asideSuffix = ".tmp"
	numberWidth = 8
)

// names are what the rotated files of one FILE are called.
type names struct{ dir, stem, ext string }

func namesOf(path string) names {
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	return names{filepath.Dir(path), strings.TrimSuffix(base, ext), ext}
}

// generation is one rotated file, in one or both of its forms.
type generation struct {
	number        uint64
	at            time.Time // of the rotation
	path          string    // of the plain form
	plain, packed bool
	size          int64 // of both
}

// name returns the path of the plain form.
func (n names) name(number uint64, at time.Time) string {
	return filepath.Join(n.dir, fmt.Sprintf("%s-%0*d-%s%s", n.stem, numberWidth, number, at.UTC().Format(stampForm), n.ext))
}

// parse reads a file name without its directory. Only what name would write exactly so is one: a file that is removed by mistake
// does not come back.
func (n names) parse(base string) (g generation, packed bool, ok bool) {
	plain, packed := strings.CutSuffix(base, packSuffix)
	rest, ok := strings.CutPrefix(plain, n.stem+"-")
	if !ok {
		return generation{}, false, false
	}
	if rest, ok = strings.CutSuffix(rest, n.ext); !ok {
		return generation{}, false, false
	}
	digits, stamp, ok := strings.Cut(rest, "-")
	number, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || len(digits) < numberWidth {
		return generation{}, false, false
	}
	at, err := time.Parse(stampForm, stamp)
	if err != nil {
		return generation{}, false, false
	}
	g = generation{number: number, at: at, path: n.name(number, at)}
	return g, packed, filepath.Base(g.path) == plain
}

// list returns the rotated files, the oldest first, and the leftovers of compressions that did not end.
func (n names) list() (gens []generation, leftovers []string, err error) {
	entries, err := os.ReadDir(n.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range entries {
		base, aside := strings.CutSuffix(e.Name(), packSuffix+asideSuffix)
		g, packed, ok := n.parse(base)
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue // somebody else's, or gone in the meantime
		}
		if aside {
			leftovers = append(leftovers, filepath.Join(n.dir, e.Name()))
			continue
		}
		if last := len(gens) - 1; last < 0 || gens[last].path != g.path {
			gens = append(gens, g) // the two forms of a file follow one another
		}
		last := &gens[len(gens)-1]
		last.plain, last.packed = last.plain || !packed, last.packed || packed
		last.size += info.Size()
	}
	slices.SortStableFunc(gens, func(a, b generation) int {
		if a.number != b.number {
			return int(min(1, max(-1, int64(a.number)-int64(b.number))))
		}
		return a.at.Compare(b.at)
	})
	return gens, leftovers, nil
}
