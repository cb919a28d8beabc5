package messages

import "google.golang.org/protobuf/proto"

// Paced is a message to a link whose sender wants to know when there is room for
// more: the link answers linkpb.Taken, when the message is with the kernel but for
// a little backlog, or never will be.
type Paced struct {
	Message proto.Message // the link's from now on: nobody else reads it, and its memory may be used again
	Charge  uint32        // returned in linkpb.Taken
	Size    int           // bytes of payload, for the queue's limit
}

// Bytes implements Load.
func (m *Paced) Bytes() int { return multicastBytes + m.Size }

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging. The sender
// learns by actor.DeadLetterResponse that the link is gone.
func (*Paced) IgnoreDeadLetterLogging() {}
