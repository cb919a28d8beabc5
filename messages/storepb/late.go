package storepb

// Who asked the store may be gone when it answers.

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Written) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*ReadResponse) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging.
func (*Compacted) IgnoreDeadLetterLogging() {}
