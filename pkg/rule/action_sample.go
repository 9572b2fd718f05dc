package rule

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strconv"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// sample lets a share of the traces pass and drops the others whole, so that what
// is left are whole trees. All routers agree, and so do all rules: a trace that
// 1 % keeps 10 % keep, too. Entries outside of any trace are drawn one by one, but
// for those that frame processes: they are few, and readers tell by them which
// tasks were abandoned.
type sample struct {
	blind
	share float64 // above 0, up to 1
	below uint64  // draws below it pass
}

func parseSample(c *compiler, item config.Item) action {
	if t, ok := item.Value.(config.Table); ok {
		var at struct {
			Percent config.Item `toml:"percent"`
		}
		if err := t.Decode(&at); err != nil {
			c.fault(err)
			return nil
		}
		if at.Percent.Value == nil {
			c.fault(item.Errorf(`percent is missing; write { percent = "10%%" }`))
			return nil
		}
		item = at.Percent
	}
	share, ok := shareOf(item.Value)
	if !ok {
		c.fault(item.Errorf(`expected a share like "10%%" or 0.1, found %s`, item.Describe()))
		return nil
	}
	if share == 0 {
		c.fault(item.Errorf("would let nothing pass; write drop = true if that is meant"))
		return nil
	}
	s := sample{share: share, below: math.MaxUint64}
	if share < 1 {
		s.below = uint64(math.Ldexp(share, 64))
	}
	return s
}

func shareOf(v any) (float64, bool) {
	switch v := v.(type) {
	case string:
		p, err := config.ParsePercent(v)
		return float64(p), err == nil
	case float64:
		return v, v >= 0 && v <= 1
	case int64:
		return float64(v), v == 0 || v == 1
	}
	return 0, false
}

func (s sample) removes() bool { return true }
func (s sample) looks() bool   { return true }

func (s sample) apply(d *Decision, rule int) bool {
	if s.below == math.MaxUint64 {
		return true
	}
	who, trace := d.identity()
	if d.task && !trace || draw(who) < s.below {
		return true
	}
	d.Dropped = rule
	return false
}

// draw is the first 64 bits of the SHA-256 of the text: the same on every machine
// and in every version.
func draw(text []byte) uint64 {
	sum := sha256.Sum256(text)
	return binary.BigEndian.Uint64(sum[:])
}

var identityKeys = entry.CompileKeys([]string{"dlog.trace", "dlog.proc", "dlog.seq"})

// identity is what an entry is drawn by: its trace, else process and number, else
// the whole line.
func (d *Decision) identity() (text []byte, trace bool) {
	_ = identityKeys.Scan(d.Line, d.ids[:]) // the line was scanned before
	if d.ids[0].Kind == entry.String && len(d.ids[0].Raw) > len(`""`) {
		return d.ids[0].Text(d.room(len(d.ids[0].Raw))), true
	}
	if d.ids[1].Kind == entry.String && d.ids[2].Kind == entry.Number {
		b := append(d.room(len(d.Line)), d.ids[1].Raw...)
		return append(b, d.ids[2].Raw...), false
	}
	return d.Line, false
}

func (s sample) String() string { return "sample " + strconv.FormatFloat(s.share, 'g', -1, 64) }
