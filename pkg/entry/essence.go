package entry

// essenceRoom is what the essence of a line needs at most beside its texts: a position, a
// path, short fields, what dlog.cut says.
const essenceRoom = 10 << 10

// keepEssence appends what remains of a valid line that cutting strings cannot bring below
// max: level, time, message, error and the identity in "dlog".
func keepEssence(dst, line []byte, max int) []byte {
	var v [slotCount]Value
	if err := lineKeys.Scan(line, v[:]); err != nil {
		return append(dst, line[:max]...)
	}
	o := object{b: append(dst, '{'), empty: true}
	for i, name := range lineKeys.names {
		switch i {
		case slotMessage, slotMsg, slotError:
			o.shortened(name, v[i], (max-essenceRoom)/3)
		case slotMeta:
		default:
			o.short(name, v[i])
		}
	}
	o.key(Key)
	o.b = AppendMeta(o.b, essentialMeta(v[slotMeta], len(line)))
	return append(o.b, '}')
}

// short appends a value that is short, and leaves out any other.
func (o *object) short(name string, v Value) {
	if v.Present() && len(v.Raw) <= 64 {
		o.key(name)
		o.b = append(o.b, v.Raw...)
	}
}

// shortened appends a value, of a long string as much as fits into most bytes.
func (o *object) shortened(name string, v Value, most int) {
	if len(v.Raw) <= most {
		if v.Present() {
			o.key(name)
			o.b = append(o.b, v.Raw...)
		}
		return
	}
	if v.Kind != String {
		return
	}
	inner := v.Raw[1 : len(v.Raw)-1]
	o.key(name)
	o.b = append(append(o.b, '"'), inner[:cutPoint(inner, most-len(cutMark)-2)]...)
	o.b = append(append(o.b, cutMark...), '"')
}

// essentialMeta keeps what places an entry in its tree.
func essentialMeta(v Value, size int) Meta {
	cut := cutNote(size, [][]byte{[]byte("all but the essence")})
	m, err := parseMetaValue(v)
	if err != nil {
		return Meta{Cut: cut}
	}
	return Meta{
		Svc: upTo(m.Svc, 64), Trace: m.Trace, Path: upTo(m.Path, 512), Pos: m.Pos, Proc: m.Proc, Seq: m.Seq,
		Event: Event(upTo(string(m.Event), 16)), Outcome: m.Outcome, ElapsedMS: m.ElapsedMS, HasElapsed: m.HasElapsed,
		N: m.N, Cut: cut, Started: upTo(m.Started, 64), Late: m.Late, Time: upTo(m.Time, 64),
	}
}

// upTo leaves a string out that is longer than most: half a path would be another path.
func upTo(s string, most int) string {
	if len(s) > most {
		return ""
	}
	return s
}
