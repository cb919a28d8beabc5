// Package ui has the cases of MASQNode-UIv2, for a Daemon or a Node of any make: "wire" is what existing user interfaces rely on,
// so that every server must do it; "rules" is what gateways/uiv2/PROTOCOL.md says besides.
//
// Nothing is changed there but the Setup space of a Daemon without a Node, and what a case has set it clears again.
package ui
