// Package ui has the scenarios of `parley bench ui`: how fast a Daemon and its Node are there, answer, and tell of a change
// or a crash; and a bare server of the same envelope as the yardstick of a conversation.
//
// Processes that the bench starts itself have a data directory of their own, in a temporary place, and listen on free ports.
package ui
