package view

import "unicode/utf8"

// style is the inside of an SGR sequence (ECMA-48, 8.3.117); the sixteen
// colours that every terminal's theme defines, so that they fit light and dark.
type style string

const (
	none   style = ""
	bold   style = "1"
	dim    style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
	violet style = "35"
	cyan   style = "36"
	alarm  style = "1;31"
)

// pen appends lines of text to a buffer: escaped, coloured if told so, and no
// wider than told.
type pen struct {
	dst   []byte
	color bool
	width int  // columns of a line, 0 for no limit
	col   int  // columns written on this line
	fits  int  // offset in dst up to where "…" would still fit
	full  bool // the line was cut
}

// text writes s in a style.
func (p *pen) text(st style, s string) {
	if p.full || s == "" {
		return
	}
	if !p.color || st == none {
		p.write(s)
		return
	}
	p.dst = append(append(append(p.dst, "\x1b["...), st...), 'm')
	p.write(s)
	p.dst = append(p.dst, "\x1b[0m"...)
}

// write appends s escaped, as far as there is room.
func (p *pen) write(s string) {
	for i := 0; i < len(s) && !p.full; {
		r, n := utf8.DecodeRuneInString(s[i:])
		if esc := escaped(r, n, s[i]); esc != "" {
			p.put(esc, len(esc))
		} else {
			p.put(s[i:i+n], runeWidth(r))
		}
		i += n
	}
}

// put appends something that is shown as a whole or not at all.
func (p *pen) put(s string, width int) {
	if p.width > 0 {
		if p.col+width > p.width {
			p.cut()
			return
		}
		if p.col < p.width {
			p.fits = len(p.dst)
		}
		if p.col+width < p.width {
			p.fits = len(p.dst) + len(s)
		}
	}
	p.dst = append(p.dst, s...)
	p.col += width
}

// cut ends the line in "…".
func (p *pen) cut() {
	p.dst = append(p.dst[:p.fits], "…"...)
	if p.color {
		p.dst = append(p.dst, "\x1b[0m"...)
	}
	p.full = true
}

// space writes n blanks.
func (p *pen) space(n int) {
	for range n {
		p.text(none, " ")
	}
}

// left writes s and fills up to width columns, right fills before.
func (p *pen) left(st style, s string, width int) {
	p.text(st, s)
	p.space(width - Width(s))
}

func (p *pen) right(st style, s string, width int) {
	p.space(width - Width(s))
	p.text(st, s)
}

// end ends the line, without blanks at its end.
func (p *pen) end() {
	for len(p.dst) > 0 && p.dst[len(p.dst)-1] == ' ' {
		p.dst = p.dst[:len(p.dst)-1]
	}
	p.dst = append(p.dst, '\n')
	p.col, p.fits, p.full = 0, len(p.dst), false
}
