// Package quota bounds what clients may use: bytes produced and fetched a
// second, time spent on their requests, partitions created and deleted, and
// connections opened from one address (KIP-13, 55, 124, 257, 546, 599, 612).
//
// A Table is what is set: limits by Entity, immutable; cluster keeps it in the
// metadata image. A Manager is what is used: it finds the limits that bind a
// client, keeps its sensors, and tells for how long the client is to be
// silenced. Handlers charge it; the server silences (KIP-219: the answer
// leaves at once, then the connection is not read). It does no I/O, starts no
// goroutine, and knows neither requests nor connections.
//
// Words: a kind is one of the five quotas; an entity is whom a quota was set
// for; a sensor measures one client, or one user's clients together, in one
// kind; a window is the span of one of its samples.
package quota
