// Package chat is `parley chat`: a full-screen terminal program for talking to
// people, over the Node's user interface. Source: gateways/uiv2/PROTOCOL.md,
// People.
//
// A model is what is known and shown; only the terminal library's loop changes it.
// It asks a node, which never makes it wait: answers and news come back as one
// stream, in order, but that a page of history may be answered after what was asked
// later: finding out whether a password is right takes a while. link is the node
// behind MASQNode-UIv2.
//
// What other people wrote passes plain before it is shown, and nothing else of
// theirs reaches the screen.
package chat
