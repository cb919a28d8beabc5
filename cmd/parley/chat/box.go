package chat

import (
	"sync"
)

// newsMost wait to be shown; what comes then is left out, and said to be missed.
const newsMost = 10_000

// box holds what was not taken yet. Nobody who puts waits.
type box[T any] struct {
	wake chan struct{} // has room for one

	mu  sync.Mutex // guards what follows
	all []T
}

func newBox[T any]() *box[T] { return &box[T]{wake: make(chan struct{}, 1)} }

// put adds one. most is how many may wait then; false: there are more, and it
// was not added.
func (b *box[T]) put(v T, most int) bool {
	b.mu.Lock()
	if len(b.all) >= most {
		b.mu.Unlock()
		return false
	}
	b.all = append(b.all, v)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return true
}

// take gives all there are, maybe none.
func (b *box[T]) take() []T {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.all
	b.all = nil
	return all
}
