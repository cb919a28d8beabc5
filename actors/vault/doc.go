// Package vault does what is slow or secret: hashing of channel passwords, off
// the actors and behind everything else.
package vault
