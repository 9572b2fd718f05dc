package spool

// journal keeps the packs that are fixed and not acked.
type journal interface {
	fix(p Pack) (slot int, err error)
	ack(slot int)
}

// recovery is what a chain knows that was made from the files of a dead process.
type recovery struct {
	pending map[uint64]bool // packs fixed by the dead
	entries uint64          // seen so far
}

func (r *recovery) look(c *chain, g *segment) (view, sight) { return view{}, segmentEnd }
