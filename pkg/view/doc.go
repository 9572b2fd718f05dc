// Package view writes entries, trees and tables of tasks as text for people.
//
// Nothing an entry says reaches the terminal as it is: control characters,
// bidirectional overrides, line separators and bytes that are not UTF-8 are
// written as escapes (see [Escape]), in every field, names and keys included.
// Colours are added after that, and only when [Options.Color] is set; pipes get
// none (see [UseColor]).
//
// With [Options.Width] set no line is wider: what does not fit ends in "…".
// Without it, as in pipes, nothing is cut.
package view
