// Package daemon is what a Daemon knows and decides: the Setup space, whether a
// Node runs, where it is, and how it ended. It opens no socket and starts no
// process: a gateway does, and says what happened (messages/processpb).
package daemon
