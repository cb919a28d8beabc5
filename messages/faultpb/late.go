package faultpb

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging. Who asked
// may be gone.
func (*Failed) IgnoreDeadLetterLogging() {}
