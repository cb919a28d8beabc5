package linkpb

// Either side of a link may be gone when the other still speaks: these messages
// are no news to anybody then.

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Closed) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging. The server
// actor learns by actor.DeadLetterResponse that the link did not live so long.
func (*Accepted) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Close) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Settled) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Malformed) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*RoundTrip) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Taken) IgnoreDeadLetterLogging() {}
