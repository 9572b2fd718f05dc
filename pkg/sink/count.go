package sink

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/dlog-fabric/dlog/pkg/stream"
)

// Count is what is known of the entries that one run of a router sent to the stream.
type Count struct {
	// Total is the greatest running count (Dlog-Total) seen, Seen how many of these entries have come. They differ by what is
	// missing, and for a moment where packs were stored in another order than they were counted.
	Total uint64 `json:"total"`
	Seen  uint64 `json:"seen"`
	// At is the store time of the last pack from it.
	At time.Time `json:"at"`
}

// maxCounts bounds the routers remembered; a stream has one, seldom a few, and each restart makes a new one.
const maxCounts = 16

// recently is how long before a gap a router must have been heard for the numbers to depend on hearing it again.
const recently = 10 * time.Minute

// counts follows the routers' running counts. Used by one goroutine.
type counts struct {
	whole bool // a router not heard before has sent nothing before
	by    map[string]Count
}

// snapshot is what Committed keeps.
func (c *counts) snapshot() map[string]Count {
	if len(c.by) == 0 {
		return nil
	}
	return maps.Clone(c.by)
}

// add counts a pack. It reports whether the router's count can be relied on: it was known, or nothing can have come before.
func (c *counts) add(p stream.Pack) (known bool) {
	router, total, ok := parseTotal(p.Total)
	if !ok {
		return false
	}
	n, known := c.by[router]
	if !known {
		c.makeRoom()
		n.Seen, n.Total = total, total
		if known = c.whole; known {
			n.Seen = 0
		}
	}
	if known {
		n.Seen += uint64(p.Count)
	}
	n.Total, n.At = max(n.Total, total), p.Time
	c.by[router] = n
	return known
}

// makeRoom forgets the router that was heard the longest time ago where there are too many.
func (c *counts) makeRoom() {
	if c.by == nil {
		c.by = make(map[string]Count)
	}
	if len(c.by) < maxCounts {
		return
	}
	oldest := ""
	for router, n := range c.by {
		if oldest == "" || n.At.Before(c.by[oldest].At) {
			oldest = router
		}
	}
	delete(c.by, oldest)
	c.whole = false // the one forgotten would look like one not heard before
}

// missing is how many entries are counted and have not come.
func (c *counts) missing() uint64 {
	var sum uint64
	for _, n := range c.by {
		if n.Total > n.Seen {
			sum += n.Total - n.Seen
		}
	}
	return sum
}

// recent are the routers heard shortly before t.
func (c *counts) recent(t time.Time) map[string]bool {
	out := map[string]bool{}
	for router, n := range c.by {
		if n.At.After(t.Add(-recently)) {
			out[router] = true
		}
	}
	return out
}

// openGap is a gap whose number of entries is not known yet: it shows in the packs behind it.
type openGap struct {
	gap
	entry   int             // its place among the entries
	missing uint64          // before it
	unheard map[string]bool // routers that were heard shortly before it, and not since
	doubt   bool            // the number is only a lower bound
}

func (g *openGap) add(p stream.Pack, known bool) {
	router, _, _ := parseTotal(p.Total)
	delete(g.unheard, router)
	g.doubt = g.doubt || !known
}

// parseTotal reads Dlog-Total: the router's name and its running count for the stream, this pack included.
func parseTotal(s string) (router string, n uint64, ok bool) {
	router, digits, found := strings.Cut(s, " ")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !found || router == "" || err != nil {
		return "", 0, false
	}
	return router, n, true
}
