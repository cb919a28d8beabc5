// Package demo is `parley demo`: several Nodes in one command, peered on loopback,
// with traffic among them, to look at and to pull apart by hand.
package demo
