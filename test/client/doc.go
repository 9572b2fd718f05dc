// Package client holds the tests of the application's side that need a server: they
// live here so that nothing an application links, tests included, imports one.
package client
