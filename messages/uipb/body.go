package uipb

import (
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// bodies finds the field of Response.body for a message by its full name.
// The generated code is not ready while package variables are made.
var bodies = sync.OnceValue(func() map[protoreflect.FullName]protoreflect.FieldDescriptor {
	fields := (*Response)(nil).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	out := make(map[protoreflect.FullName]protoreflect.FieldDescriptor, fields.Len())
	for i := range fields.Len() {
		out[fields.Get(i).Message().FullName()] = fields.Get(i)
	}
	return out
})

// NewResponse puts body into a Response; false: body is none that a Response
// can have.
func NewResponse(opcode string, body proto.Message) (*Response, bool) {
	field, ok := bodies()[body.ProtoReflect().Descriptor().FullName()]
	if !ok {
		return nil, false
	}
	r := &Response{Opcode: opcode}
	r.ProtoReflect().Set(field, protoreflect.ValueOfMessage(body.ProtoReflect()))
	return r, true
}

// Broadcast is NewResponse for a body that certainly fits; another panics.
func Broadcast(opcode string, body proto.Message) *Response {
	r, ok := NewResponse(opcode, body)
	if !ok {
		panic("uipb: no body of a response: " + string(body.ProtoReflect().Descriptor().FullName()))
	}
	return r
}
