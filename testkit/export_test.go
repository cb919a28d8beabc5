package testkit

// TellText is Tell without a file and a test: it returns what Tell fails with.
func TellText(text string, stage Stage) error { return tell(text, stage) }
