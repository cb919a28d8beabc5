package meshpb

// Weights of queued messages without what they carry, in bytes.
const (
	publishBytes  = 200
	deliveryBytes = 120
)

// Bytes implements messages.Load.
func (p *Publish) Bytes() int {
	return publishBytes + len(p.GetMessage().GetPayload()) + len(p.GetMessage().GetNonce())
}

// Bytes implements messages.Load.
func (d *Delivery) Bytes() int {
	return deliveryBytes + len(d.GetMessage().GetPayload()) + len(d.GetMessage().GetNonce())
}

// IgnoreDeadLetterLogging marks messages that may find a channel closed.
func (*Delivery) IgnoreDeadLetterLogging() {}
