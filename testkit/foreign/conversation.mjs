// Two people talk through a relay. Every foreign client of this folder holds this same conversation,
// with whatever class it has that looks like the browser's WebSocket.
import { Peer } from "./peer.mjs";

async function ask(peer, frame) {
  await peer.say(frame);
  await peer.hear();
}

// converse holds the conversation at url and tells it line by line. When it tells "stop the node",
// the listener stops the node, and the conversation ends with the close that both see.
export async function converse(WebSocket, url, tell) {
  const anna = new Peer(WebSocket, url, "anna", tell);
  await anna.open();
  const ben = new Peer(WebSocket, url, "ben", tell);
  await ben.open();

  await ask(anna, { command: "subscribe", data: { topic: "channel1", password: "wordpass" }, nonce: "abc123" });
  await ask(ben, { command: "subscribe", data: { topic: "channel1", password: "guess" }, nonce: "abc124" });
  await ask(ben, { command: "list", data: {}, nonce: "abc125" });
  await ask(ben, { command: "subscribe", data: { topic: "channel1", password: "wordpass" }, nonce: "abc126" });
  await ask(ben, { command: "list", nonce: 127 });

  await ask(anna, { command: "send", data: { message: "Hello", channel: "channel1" }, nonce: "abc128" });
  await ben.hear();
  await ask(ben, { command: "send", data: { message: "Grüße, 世界 👋", channel: "channel1" } });
  await anna.hear();

  // Ben leaves: what Anna sends then must not reach him, so that the next frame he hears is the answer to his own question.
  await ask(ben, { command: "unsubscribe", data: { topic: "channel1" }, nonce: "abc129" });
  await ask(anna, { command: "send", data: { message: "Still there?", channel: "channel1" }, nonce: "abc130" });
  await ask(ben, { command: "list", data: {}, nonce: "abc131" });
  await ask(ben, { command: "send", data: { message: "No", channel: "channel1" }, nonce: "abc132" });

  await tell("stop the node");
  await anna.close();
  await ben.close();
}
