//go:build linux

package star

// known is who of n clients has heard of whom. Its owner guards it: while clients listen, that is the loop of their crowd.
type known struct {
	n, base int      // fixed
	bits    []uint64 // n rows of n bits
	count   uint64   // announcements, repeated ones too
}

func newKnown(n, base int) *known {
	return &known{n: n, base: base, bits: make([]uint64, (n*n+63)/64)}
}

// portAt is where the port of an address begins.
var portAt = len("/ip4/127.0.0.1/tcp/")

// portDigits is how long it is.
const portDigits = 5

// note notes that a client was told of another.
func (k *known) note(who, of int) {
	k.count++
	at := who*k.n + of
	k.bits[at/64] |= 1 << (at % 64)
}

func (k *known) knows(who, of int) bool {
	at := who*k.n + of
	return k.bits[at/64]&(1<<(at%64)) != 0
}

// clear forgets all.
func (k *known) clear() {
	clear(k.bits)
	k.count = 0
}

// strangers counts pairs: of which neither has heard of the other, or, if both must, of which one has not.
func (k *known) strangers(both bool) (pairs int) {
	for i := range k.n {
		for j := range i {
			a, b := k.knows(i, j), k.knows(j, i)
			if both && !(a && b) || !both && !a && !b {
				pairs++
			}
		}
	}
	return pairs
}
