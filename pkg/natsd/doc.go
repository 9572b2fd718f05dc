// Package natsd embeds a NATS server with JetStream in a program.
//
// [Start] returns once the server answers, or says in one line why it cannot: the port is taken, the data directory cannot be
// written or belongs to another running server, the address is reachable from outside without users and TLS. [Server.Close] waits until
// everything has stopped and the directory is free again.
//
// Storage is limited by each stream's own MaxBytes alone. The server reserves the sum of them against its own limit and refuses any
// change beyond it, so that limit is set to the size of the file system.
//
// The server's own log goes to the logger of the Config and never through dlog: it would carry its own echo.
package natsd
