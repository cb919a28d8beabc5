package relay

import (
	"encoding/hex"

	"github.com/asynkron/protoactor-go/actor"

	"parley/messages/meshpb"
)

// Mesh is how channels reach the other nodes. The zero Mesh is that of a node
// without any: it opens what nobody here has open, and tells nobody.
type Mesh struct {
	Router       *actor.PID // told meshpb.Carry, meshpb.Publish, meshpb.Drop; sends meshpb.Delivery
	Reservations *actor.PID // answers meshpb.OpenRequest; told meshpb.Drop
	// Behind tells whether more is queued for other nodes than is good: a client's
	// message is refused with "slow down" then. It returns at once. nil: never.
	Behind func() bool
	// Alone tells that no other node is known: the router is not told what clients
	// say, which would cost a lone node a sixth of its fan-out. It returns at once.
	// nil: never.
	Alone func() bool
}

// crossing is a channel's part in the mesh; all of it is fixed at spawn.
type crossing struct {
	mesh *Mesh
	hash []byte // of the channel's password; nil: none
	key  string // tells channels of one name apart, as meshpb.Message says
}

// keyDigits is the length of a key in hex digits.
const keyDigits = 16

// newCrossing makes a channel's part in the mesh; nil: there is no mesh.
func newCrossing(mesh *Mesh, hash []byte) *crossing {
	if mesh.Router == nil {
		return nil
	}
	return &crossing{mesh: mesh, hash: hash, key: hex.EncodeToString(hash[:min(len(hash), keyDigits/2)])}
}

// behind tells whether other nodes get no more for now.
func (x *crossing) behind() bool { return x != nil && x.mesh.Behind != nil && x.mesh.Behind() }

// carry introduces a channel to the router.
func (x *crossing) carry(ctx actor.Context, name string) {
	if x != nil {
		ctx.Request(x.mesh.Router, &meshpb.Carry{Channel: name, Hash: x.hash})
	}
}

// outbound is a Publish and its Message in one piece of memory.
type outbound struct {
	publish meshpb.Publish
	message meshpb.Message
}

// pass hands a client's message to the router.
func (x *crossing) pass(ctx actor.Context, name string, m *publish) {
	if x == nil || x.mesh.Alone != nil && x.mesh.Alone() {
		return
	}
	o := &outbound{}
	o.message.Channel, o.message.Payload, o.message.Nonce, o.message.Key = name, m.message, m.nonce, &x.key
	o.publish.Message = &o.message
	ctx.Send(x.mesh.Router, &o.publish)
}
