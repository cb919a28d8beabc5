// Package bench is `parley bench`: a load generator for servers of the relay's client wire, and a bare server of that
// wire as the yardstick. What it does to Daemons and Nodes, as their user interfaces do, is in package ui.
//
// # How it measures
//
// Every published text begins with a stamp: publisher, channel, sequence number, time of sending. Subscribers are raw
// sockets read by one loop (package crowd); a delivery is recognised by a byte search for its stamp (package wire). From
// the sequence numbers of each publisher and channel, every subscriber counts losses, duplicates and changes of order.
//
// In a closed loop (fanout, channels, storm) a publisher writes a burst of messages at once and writes the next when all
// subscribers have all of it and every message is answered; it runs inside the reading loop, so nobody is woken for it.
// In an open loop (rate, slow) messages leave by a timetable, and times count from when a message was due, not from when
// it was sent: a server that holds up the sender is not spared.
//
// The server's processor time and memory come from /proc, for the processes named by --pid. The client's own processor
// time is printed beside it. Both share the machine, so figures hold for a machine and a moment: compare within one run.
//
// # JSON
//
// With --json a Report is printed. Its keys are only added to; Version is raised when one changes its meaning.
package bench
