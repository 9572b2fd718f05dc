package rule

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"path/filepath"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/dlog-fabric/dlog/pkg/config"
	"github.com/dlog-fabric/dlog/pkg/entry"
)

// redact makes what fields say unreadable, wherever in an entry they stand.
type redact struct {
	changing
	fields []field
	how    []redaction
	cuts   uint64 // fields that are removed
	key    *hashKey
}

// redaction is what is left of a value.
type redaction string

const (
	redactRemove redaction = "remove" // nothing, not the name either
	redactMask   redaction = "mask"   // "***", whatever it was
	redactLast4  redaction = "last4"  // "…" and the last four characters
	redactHash   redaction = "hash"   // its HMAC-SHA-256
)

const (
	masked   = `"***"`
	ellipsis = "…"
	// least4 is how many characters a text needs for its last four to be shown: of
	// a shorter one they would be most of it.
	least4 = 8
)

func parseRedact(c *compiler, item config.Item) action {
	r := redact{key: c.key}
	for _, f := range c.fieldTable(item, `{ card = "last4", email = "hash" }`, nil) {
		word, _ := f.Value.(string)
		switch how := redaction(word); how {
		case redactHash:
			c.needKey(f.Item)
			r.how = append(r.how, how)
		case redactRemove:
			r.cuts |= 1 << (len(r.fields) % maxFields)
			r.how = append(r.how, how)
		case redactMask, redactLast4:
			r.how = append(r.how, how)
		default:
			c.fault(f.Errorf(`expected "remove", "mask", "last4" or "hash", found %s`, f.Describe()))
			continue
		}
		if f.key == levelKey {
			c.fault(f.Errorf("the level is no secret: entries travel under it; write set or remove"))
		}
		r.fields = append(r.fields, f.field)
	}
	if len(r.fields) == 0 {
		return nil
	}
	return r
}

func (r redact) apply(d *Decision, rule int) bool {
	spots := d.find(r.fields, r.cuts)
	if len(spots) == 0 {
		return true
	}
	out, at := d.arena, 0
	for _, s := range spots {
		if r.cuts>>s.field&1 != 0 {
			out = append(out, d.Line[at:s.from]...)
			at = s.to
			continue
		}
		out = append(out, d.Line[at:s.val]...)
		var why string
		if out, why = r.value(d, out, d.Line[s.val:s.end], r.how[s.field]); why != "" {
			return d.fail(rule, "redact", r.fields[s.field].key, why)
		}
		at = s.end
	}
	d.commit(append(out, d.Line[at:]...))
	return true
}

// value appends what is left of a value. A null stays: it says nothing.
func (r redact) value(d *Decision, dst, raw []byte, how redaction) (out []byte, why string) {
	switch {
	case raw[0] == 'n':
		return append(dst, raw...), ""
	case how == redactMask:
		return append(dst, masked...), ""
	case raw[0] == '{', raw[0] == '[':
		return dst, "an object or array can be masked or removed only"
	}
	text := raw
	if raw[0] == '"' {
		text = entry.Value{Raw: raw, Kind: entry.String}.Text(d.room(len(raw)))
	}
	if how == redactHash {
		return r.key.appendHash(dst, text), ""
	}
	dst = append(append(dst, '"'), ellipsis...)
	if utf8.RuneCount(text) >= least4 {
		dst = appendInside(dst, text[lastRunes(text, 4):])
	}
	return append(dst, '"'), ""
}

// lastRunes returns where the last n characters begin.
func lastRunes(text []byte, n int) int {
	at := len(text)
	for ; n > 0; n-- {
		_, size := utf8.DecodeLastRune(text[:at])
		at -= size
	}
	return at
}

func (r redact) touches() ([]string, bool) { return keysOf(r.fields), false }

func (r redact) String() string {
	var all []string
	for i, f := range r.fields {
		all = append(all, f.key+" "+string(r.how[i]))
	}
	return "redact " + strings.Join(all, ", ")
}

// MinKey is the least length in bytes of the key of hashes: with a shorter one
// the texts could be found by trying keys.
const MinKey = 16

// hashKey hashes texts: HMAC-SHA-256 as in RFC 2104, in lower-case hex.
type hashKey struct {
	used  bool      // by a rule
	state sync.Pool // of *hashState; without New the key was faulted, and no Set is made
}

type hashState struct {
	hash.Hash
	sum [sha256.Size]byte
}

// redactKey reads the key of the file, nil where it has none.
func (c *compiler) redactKey() *hashKey {
	secret, self := c.file.Redact.Key, c.file.Self
	if secret.IsZero() {
		return nil
	}
	key, err := secret.Read(filepath.Dir(self.File))
	switch {
	case err != nil:
		c.fault(self.Fault("redact.key", -1, "%v", err))
	case len(key) < MinKey:
		c.fault(self.Fault("redact.key", -1, "a key of %d bytes is too short; it takes at least %d, as from openssl rand -hex 32", len(key), MinKey))
	default:
		return newHashKey(key)
	}
	return &hashKey{}
}

func newHashKey(key []byte) *hashKey {
	k := &hashKey{}
	k.state.New = func() any { return &hashState{Hash: hmac.New(sha256.New, key)} }
	return k
}

func (c *compiler) needKey(item config.Item) {
	if c.key == nil {
		c.fault(item.Errorf(`hash needs a key; write [redact] with key = "env:NAME" or "file:PATH"`))
		return
	}
	c.key.used = true
}

// appendHash appends the hash of a text as a JSON string.
func (k *hashKey) appendHash(dst, text []byte) []byte {
	h, ok := k.state.Get().(*hashState)
	if !ok {
		return append(dst, masked...)
	}
	defer k.state.Put(h)
	h.Reset()
	_, _ = h.Write(text) // never fails, see hash.Hash
	dst = hex.AppendEncode(append(dst, '"'), h.Sum(h.sum[:0]))
	return append(dst, '"')
}

// fingerprint tells keys apart and does not give them away.
func (k *hashKey) fingerprint() []byte { return k.appendHash(nil, []byte("dlog rule set")) }
