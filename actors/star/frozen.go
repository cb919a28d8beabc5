package star

import "slices"

// frozen is a list that is handed out while it changes: it grows behind what was
// lent, and is copied to shrink. Its order means nothing.
type frozen[T any] struct {
	items  []T
	places []*int // where each item's owner keeps its place; never lent
	lent   bool
}

// lend returns the list as it is now, for as long as anybody wants.
func (f *frozen[T]) lend() []T {
	f.lent = true
	return slices.Clip(f.items)
}

// add puts an item at the end, and notes its place.
func (f *frozen[T]) add(item T, place *int) {
	*place = len(f.items)
	f.items, f.places = append(f.items, item), append(f.places, place)
}

// remove takes out what is at a place, and sets that to -1.
func (f *frozen[T]) remove(place *int) {
	if f.lent {
		f.items, f.lent = slices.Clone(f.items), false
	}
	last := len(f.items) - 1
	f.items[*place], f.places[*place] = f.items[last], f.places[last]
	*f.places[*place] = *place
	var none T
	f.items[last], f.places[last] = none, nil
	f.items, f.places = f.items[:last], f.places[:last]
	*place = -1
}

// crowd is the members of sockets, by version and shard.
type crowd [versions][]frozen[uint64]

func newCrowd(fanout *[versions]Fanout) (c crowd) {
	for v := range fanout {
		c[v] = make([]frozen[uint64], len(fanout[v].Shards))
	}
	return c
}

// row is the part of the crowd that a client belongs to.
func (c *crowd) row(fanout *[versions]Fanout, who caller) *frozen[uint64] {
	return &c[who.version][fanout[who.version].shardOf(who.member)]
}
