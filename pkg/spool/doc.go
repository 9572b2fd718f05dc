// Package spool is the crash-safe queue between a logger call and the sender, and the sender's journal.
package spool
