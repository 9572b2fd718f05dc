package entry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrSlots means that Scan was given fewer slots than there are keys: a mistake of the
// caller's, not of the line's.
var ErrSlots = errors.New("fewer slots than keys")

// Keys is a compiled list of dotted keys, such as "level" or "user.id". It does not change
// once compiled and may be used by any number of goroutines.
type Keys struct {
	names []string
	root  *node
	same  [][2]int // slots of keys that were listed before: {slot, slot of the first}
}

// Slots takes what Scan finds, in the order of the keys.
type Slots []Value

// CompileKeys compiles the keys. The dots of "user.id" lead into objects; a member of the
// line itself that is called "user.id", dot and all, is found too and goes before.
func CompileKeys(keys []string) *Keys {
	k := &Keys{names: slices.Clone(keys), root: &node{}}
	for i, key := range keys {
		if first := slices.Index(keys, key); first < i {
			k.same = append(k.same, [2]int{i, first})
			continue
		}
		if strings.Contains(key, ".") {
			c := k.root.child(key)
			c.slot, c.literal = i, true
		}
		k.root.add(strings.Split(key, "."), i)
	}
	k.root.index()
	return k
}

// Len returns the number of keys: how many slots Scan fills.
func (k *Keys) Len() int { return len(k.names) }

// Names returns the keys in the order of their slots.
func (k *Keys) Names() []string { return slices.Clone(k.names) }

// Slot returns the slot of a key, -1 where it was not compiled.
func (k *Keys) Slot(key string) int { return slices.Index(k.names, key) }

// NewSlots returns slots to scan into, again and again.
func (k *Keys) NewSlots() Slots { return make(Slots, len(k.names)) }

// Scan reads the line once from end to end, checks that it is one JSON object and puts the
// value of each key into its slot, Absent where there is none. Where a member stands twice
// the last one counts, with all it holds. The error is a *LineError, then all slots are
// Absent, or ErrSlots. Scan does not allocate but for an error.
func (k *Keys) Scan(line []byte, into []Value) error {
	if len(into) < len(k.names) {
		return fmt.Errorf("scan line: %w: %d for %d", ErrSlots, len(into), len(k.names))
	}
	into = into[:len(k.names)]
	clear(into)
	s := scan{b: line}
	if err := s.line(k.root, into); err != nil {
		clear(into)
		return err
	}
	for _, same := range k.same {
		into[same[0]] = into[same[1]]
	}
	return nil
}

// node holds the members of one object that are wanted.
type node struct {
	children []child
	buckets  [32]int16 // 1 + index of a bucket's first child, 0 where it is empty
}

// child is one member that is wanted: itself, what it holds, or both.
type child struct {
	name    string
	slot    int   // -1 where only something below is wanted
	literal bool  // the name holds the key's dots
	below   *node // nil where nothing below is wanted
	slots   []int // all slots below
	next    int16 // 1 + index of the next child in the bucket
}

func (n *node) child(name string) *child {
	for i := range n.children {
		if n.children[i].name == name {
			return &n.children[i]
		}
	}
	n.children = append(n.children, child{name: name, slot: -1})
	return &n.children[len(n.children)-1]
}

func (n *node) add(names []string, slot int) {
	c := n.child(names[0])
	if len(names) == 1 {
		c.slot = slot
		return
	}
	if c.below == nil {
		c.below = &node{}
	}
	c.slots = append(c.slots, slot)
	c.below.add(names[1:], slot)
}

// index fills the buckets, once all keys are in.
func (n *node) index() {
	for i := range n.children {
		c := &n.children[i]
		b := &n.buckets[bucket([]byte(c.name))]
		c.next, *b = *b, int16(i+1)
		if c.below != nil {
			c.below.index()
		}
	}
}

func bucket(name []byte) int {
	if len(name) == 0 {
		return 0
	}
	return (len(name)*5 + int(name[0]) + int(name[len(name)-1])*3) & 31
}

// find returns the child of that name, nil where it is not wanted.
func (n *node) find(name []byte, escaped bool) *child {
	if escaped {
		return n.findEscaped(name)
	}
	for i := n.buckets[bucket(name)]; i != 0; {
		c := &n.children[i-1]
		if string(name) == c.name {
			return c
		}
		i = c.next
	}
	return nil
}

// findEscaped stands apart so that the buffer costs nothing where names are plain. Names
// that are longer than it allocate; they are wanted hardly ever.
func (n *node) findEscaped(name []byte) *child {
	var buf [128]byte
	return n.find(appendUnquoted(buf[:0], name), false)
}
