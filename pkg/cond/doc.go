// Package cond holds the one grammar of conditions: what rules say in TOML and
// what --where says on a command line. docs/conditions.md is its manual.
//
// A Cond is made by Parse (a TOML table) or ParseWhere (FIELD OP VALUE) and is
// a value that never changes. To be asked about entries it is bound: a Binder
// gives each field that any of its conditions needs a slot, so that a line is
// scanned once for all of them, and a Record holds one entry while conditions
// are asked about it. Where does all this for a command line.
//
// Service, level and path come from the subject, all other fields from the
// line; Cond.Resolve decides what the subject alone decides and returns what is
// left. Where an entry has no subject (a file is read) the three come from the
// line too: dlog.svc (else the field service), level, dlog.path.
//
// Matching neither allocates nor looks anything up in a map nor uses
// reflection, but for a regexp on a service whose name needs escaping.
//
// A field that is null counts as absent. Of two equal keys in one object the
// last one counts.
package cond
