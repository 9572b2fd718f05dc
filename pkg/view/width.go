package view

import (
	"unicode"
	"unicode/utf8"
)

// wide are the ranges that terminals show two columns wide: East Asian Wide and
// Fullwidth of Unicode's EastAsianWidth.txt, joined where only unassigned
// characters lie between, and the common emoji.
var wide = [...][2]rune{
	{0x1100, 0x115f},
	{0x2329, 0x232a},
	{0x231a, 0x231b},
	{0x23e9, 0x23ec},
	{0x26a1, 0x26a1},
	{0x2705, 0x2705},
	{0x274c, 0x274c},
	{0x2728, 0x2728},
	{0x2757, 0x2757},
	{0x2b50, 0x2b50},
	{0x2e80, 0x303e},
	{0x3041, 0x4dbf},
	{0x4e00, 0xa4cf},
	{0xa960, 0xa97f},
	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},
	{0xfe30, 0xfe6f},
	{0xff00, 0xff60},
	{0xffe0, 0xffe6},
	{0x1f004, 0x1f004},
	{0x1f18e, 0x1f19a},
	{0x1f200, 0x1f320},
	{0x1f32d, 0x1f64f},
	{0x1f680, 0x1f6ff},
	{0x1f7e0, 0x1f7eb},
	{0x1f90c, 0x1f9ff},
	{0x1fa70, 0x1faff},
	{0x20000, 0x3fffd},
}

// Width returns the number of columns that s takes once escaped. It is right
// for what terminals agree on; of what they do not (emoji joined together, flags)
// it says too much rather than too little.
func Width(s string) int {
	n := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if esc := escaped(r, size, s[i]); esc != "" {
			n += len(esc)
		} else {
			n += runeWidth(r)
		}
		i += size
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	}
	for _, w := range wide {
		if r < w[0] {
			break
		}
		if r <= w[1] {
			return 2
		}
	}
	return 1
}
