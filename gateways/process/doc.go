// Package process is the Daemon's only way to another process: it starts Nodes,
// watches over them, and says how they ended (messages/processpb). It reads
// nothing of a Node but one byte that says it is ready, the last lines of its
// stderr, and its exit status.
//
// A Node is started from the Daemon's own executable, in a session of its own,
// in /, with a clean environment, without a setting in its arguments, and with
// six descriptors:
//
//	0, 1  /dev/null
//	2     a pipe to the Daemon, of which it keeps the last lines
//	3     the listening socket for user interfaces, on 127.0.0.1; bound here, so
//	      that nobody can take the port between the choice and its use
//	4     the readiness pipe: the Node writes one byte when it serves
//	5     the lifeline: the length of processpb.Settings in four bytes, big
//	      endian, then these, then 'K' when the Daemon knows the Node for good.
//	      End of file before 'K' ends the Node; after it, the Daemon has died and
//	      the Node goes on
//
// A Daemon that is root starts the Node as another user, without groups or
// capabilities, and gives that user the data directory.
//
// The Node's side is cmd/parley/child.
package process
