// Package store is the database: records under keys that are paths. It is the
// only importer of badger.
//
// Open opens a directory that belongs to one process and one user. It looks at
// every byte before badger does: a damaged file never reaches badger, whose
// background work ends the process on some of them. What is left of damaged
// files is copied to a fresh database; records that are not what was written
// are set aside, and reported by key.
//
// Spawn starts the actor that all others ask. A Write is answered when it
// survives kill -9 and power loss: writes that come while others are on their
// way to the disk share the next trip.
//
// A directory holds:
//
//	lock      locked by the process that uses it
//	head      number of the last write and the checksum of all records: a log
//	          that was cut short looks whole by itself
//	db/       badger's
//	new/      a copy of what is left, while it is made
//	damaged/  the files it was made from, kept for people
package store
