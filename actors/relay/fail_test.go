package relay

// What makes an actor fail: messages that nobody sends.
var (
	poison         = (*joined)(nil)  // a client
	channelPoison  = (*leave)(nil)   // a channel
	channelsPoison = (*emptied)(nil) // channels
)

// restartsMost is how often a test lets channels fail: at 10 in 10 s it gives up.
const restartsMost = 5
