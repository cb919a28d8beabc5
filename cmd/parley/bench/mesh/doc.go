// Package mesh is `parley bench mesh`: Nodes of its own, linked in a shape, with a publisher on one of them and subscribers
// on others.
package mesh
