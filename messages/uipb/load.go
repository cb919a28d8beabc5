package uipb

// logBase is the weight of a queued LogLine without its text, in bytes.
const logBase = 128

// Bytes implements messages.Load.
func (m *LogLine) Bytes() int { return logBase + len(m.GetText()) }
