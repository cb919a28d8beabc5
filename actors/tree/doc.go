// Package tree is what every actor is spawned through. It owns the four things
// that decide when code runs: mailboxes, dispatchers, timers and slow work off
// the actors. No other package calls the actor library's props or starts a
// timer, so a test can put its own Driver under the whole program.
//
// A system is made by New. Actors are made by Spawn from a Spec:
//
//	pid := tree.Spawn(ctx, "channels", tree.Spec{New: newChannels, Children: tree.Restart})
//
// Mailboxes are our own: one wake-up takes all that is queued, system messages
// go first, and the queue is bounded in bytes (messages.Load). Stock mailboxes
// and other parts of the actor library that must not be used are listed in
// DECISIONS.md.
package tree
