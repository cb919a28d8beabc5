package processpb

// Who asked for a Node may be gone when it ends, and a Node's actor when it is
// told to stop: these messages are no news to anybody then.

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Ready) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Ended) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Keep) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Stop) IgnoreDeadLetterLogging() {}
