// Package fleet runs several Nodes of this program as processes of their own, peered
// with each other on loopback: for looking at a mesh, and for measuring one.
package fleet
