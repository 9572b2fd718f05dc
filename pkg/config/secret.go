package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Secret is a text that is never shown, such as a key. It is written as it
// stands, or better by where it is kept:
//
//	"env:NAME"    the environment variable NAME
//	"file:PATH"   what the file holds, without white space at its end
//
// Printing a Secret in any way shows no more than that there is one.
type Secret struct {
	text *string // behind a pointer: fmt follows none inside of a struct
}

func (s Secret) said() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// UnmarshalText takes the text as it stands in a file.
func (s *Secret) UnmarshalText(text []byte) error {
	said := string(text)
	s.text = &said
	return nil
}

// MarshalText is String.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns "(secret)", or "" where there is none.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return "(secret)"
}

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// IsZero reports whether there is none.
func (s Secret) IsZero() bool { return s.said() == "" }

// Read returns the secret itself. A relative path of a file begins in the
// directory dir. The errors name the variable or the file and never the secret.
func (s Secret) Read(dir string) ([]byte, error) {
	if name, ok := strings.CutPrefix(s.said(), "env:"); ok {
		v := os.Getenv(name)
		if v == "" {
			return nil, fmt.Errorf("the environment variable %s is not set", name)
		}
		return []byte(v), nil
	}
	path, ok := strings.CutPrefix(s.said(), "file:")
	if !ok {
		return []byte(s.said()), nil
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	if data = bytes.TrimRight(data, " \t\r\n"); len(data) == 0 {
		return nil, fmt.Errorf("read secret: %w", &os.PathError{Op: "read", Path: path, Err: errors.New("the file is empty")})
	}
	return data, nil
}

func (*Secret) expects() string { return `a text in quotes, "env:NAME" or "file:PATH"` }
