package cond

// FieldTexts is an equality together with the field it asks for: an entry that fulfils the condition has under Field a string with one of
// Texts or a number with one of Numbers.
type FieldTexts struct {
	Field   string
	Texts   []string
	Numbers []float64
}

// FieldTexts lists what has to be equal to known values in an entry that fulfils the condition: what an index of words can look up. The
// reverse need not be true.
func (c Cond) FieldTexts() []FieldTexts {
	var b Binder
	var out []FieldTexts
	for _, e := range b.Bind(c).Equalities() {
		out = append(out, FieldTexts{Field: b.keys[e.Slot], Texts: e.Texts, Numbers: e.Numbers})
	}
	return out
}
