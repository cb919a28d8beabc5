// Package relay is what a relay node knows and decides: who is connected, which
// channels are open, who gets a message, what was counted.
//
//	link ─Subscribe─▶ client ─subscribe─▶ channels ─join─▶ channel ─Multicast{Answer}─▶ shard
//	link ─Send──────▶ client ─publish───▶ channel ─Multicast{Members, Answer}────────▶ shards
//
// Answers that must keep their place among a channel's messages go through the
// shard with them: after the answer to subscribe come messages, after the
// answer to unsubscribe none. All others go to the link itself.
package relay
