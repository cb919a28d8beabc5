// Package shell is `parley ui`: the verbs of package verbs, typed one after the
// other on one connection, with history and completion. Broadcasts appear above
// the line that is being typed. Source: gateways/uiv2/PROTOCOL.md.
//
// Only one goroutine prints. What comes meanwhile waits in notes, and the line
// editor is woken up to show it.
package shell
