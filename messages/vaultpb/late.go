package vaultpb

// IgnoreDeadLetterLogging implements actor.IgnoreDeadLetterLogging: a client may
// fail while its password is hashed.
func (*HashResponse) IgnoreDeadLetterLogging() {}
