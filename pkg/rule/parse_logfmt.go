package rule

import (
	"bytes"
)

// logfmtForm is KEY=VALUE KEY="a text" KEY … as github.com/go-logfmt/logfmt reads
// it: a key is anything but white space, '=' and '"'; a value goes to the next
// white space or stands in quotes, with the escapes of JSON; a key alone is true.
type logfmtForm struct{}

func (logfmtForm) names() ([]string, bool) { return nil, true }

func (logfmtForm) fields(d *Decision, text []byte) string {
	pairs := false
	for at := skipSpace(text, 0); at < len(text); at = skipSpace(text, at) {
		end := at
		for end < len(text) && text[end] > ' ' && text[end] != '=' && text[end] != '"' {
			end++
		}
		if end == at || end < len(text) && text[end] == '"' {
			return "is no logfmt: a key is missing or holds a quote"
		}
		if !d.piece(text[at:end]) {
			return whyMany
		}
		if at = end; at == len(text) || text[at] != '=' {
			d.json = append(d.json, "true"...)
			d.endPiece()
			continue
		}
		pairs = true
		var ok bool
		if at, ok = d.logfmtValue(text, at+1); !ok {
			return "is no logfmt: bad quotes"
		}
		d.endPiece()
	}
	if !pairs {
		return "is no logfmt: there is no ="
	}
	return ""
}

// logfmtValue appends the value at an offset as JSON and returns where it ends.
func (d *Decision) logfmtValue(text []byte, at int) (end int, ok bool) {
	if at == len(text) || text[at] != '"' {
		end := at
		for end < len(text) && text[end] > ' ' {
			end++
		}
		d.json = appendBare(d.json, text[at:end])
		return end, !bytes.ContainsRune(text[at:end], '"')
	}
	end = at + 1
	for end < len(text) && text[end] != '"' {
		if text[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(text) {
		return 0, false
	}
	end++
	if d.json, ok = appendLoose(d.json, text[at:end]); !ok {
		return 0, false
	}
	return end, end == len(text) || text[end] <= ' '
}

func skipSpace(text []byte, at int) int {
	for at < len(text) && text[at] <= ' ' {
		at++
	}
	return at
}
