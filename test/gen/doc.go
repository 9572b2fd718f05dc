// Package gen makes entries of a shop that does not exist, for measurements: eight services whose tasks reach into one another, written
// as dlog writes them and in the order in which a stream would store them.
//
// It is the workload "shop" of the project's figures: levels 60 % debug, 30 % info, 8 % warn, 2 % error among what is said, lines of 150 to
// 2,000 bytes with a mean of about 300, about 40 subjects a process with uneven shares, and text that `zstd -3` shrinks no better than 6:1,
// because ids, amounts, addresses and durations are random as they are in life. The same Config makes the same entries.
//
// Program dloggen (in dloggen/) writes them to standard output.
package gen
