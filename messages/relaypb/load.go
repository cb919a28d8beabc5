package relaypb

// loadBase is the weight of a queued Send without its payload, in bytes.
const loadBase = 256

// Bytes implements messages.Load.
func (m *Send) Bytes() int { return loadBase + len(m.GetMessage()) + len(m.GetNonce()) }
