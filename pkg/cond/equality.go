package cond

// Equality is a part of a condition that an index can find: the entry has to
// hold one of these values in this slot, whatever else is asked of it.
type Equality struct {
	Slot    int
	Texts   []string  // a string with one of these texts
	Numbers []float64 // or a number with one of these values
}

// Equalities lists those parts of a bound condition. An entry that fulfils the
// condition has, for each of them, one of the values named; the reverse need
// not be true.
func (m Matcher) Equalities() []Equality {
	nodes, ok := m.root.(all)
	if !ok {
		nodes = all{m.root}
	}
	var found []Equality
	for _, n := range nodes {
		if nested, ok := n.(all); ok {
			found = append(found, Matcher{nested}.Equalities()...)
		}
		if f, ok := n.(field); ok {
			if e, ok := f.equality(); ok {
				found = append(found, e)
			}
		}
	}
	return found
}

func (f field) equality() (Equality, bool) {
	e := Equality{Slot: f.slot}
	for _, t := range f.tests {
		switch t := t.(type) {
		case isNumber:
			e.Numbers = append(e.Numbers, t.f)
		case isText:
			if t.want == "true" || t.want == "false" {
				return e, false // holds for booleans too
			}
			e.Texts = append(e.Texts, t.want)
			if t.number != nil {
				e.Numbers = append(e.Numbers, t.number.f)
			}
		default:
			return e, false
		}
	}
	return e, true
}

// Services lists the tokens of which an entry's subject has to hold one as its
// service; false where the condition leaves that open.
func (c Cond) Services() ([]string, bool) {
	nodes, ok := c.node().(all)
	if !ok {
		nodes = all{c.node()}
	}
	for _, n := range nodes {
		if s, ok := n.(service); ok {
			if tokens, ok := s.tokens(); ok {
				return tokens, true
			}
		}
	}
	return nil, false
}

func (s service) tokens() ([]string, bool) {
	var tokens []string
	for _, t := range s.tests {
		if t.kind != nameEquals {
			return nil, false
		}
		tokens = append(tokens, t.token)
	}
	return tokens, true
}
