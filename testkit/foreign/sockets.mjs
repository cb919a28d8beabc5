// Plain socket.io clients, of two versions of Engine.IO, at a rendezvous server without challenge: node sockets.mjs host:port
// They emit, get answers, hear events, and send each other binaries.
import { createRequire } from "node:module";
import { demand, within } from "./star-client.mjs";

const require = createRequire(import.meta.url);
const versions = { 2: require("socket.io-client-2"), 4: require("socket.io-client-4") };
const server = process.argv[2];
const chunks = [Buffer.from("hello"), Buffer.alloc(0), Buffer.alloc(1 << 20, 7), Buffer.from([0, 4, 255])];
const stream = (kind, id) => `socket.io-pull-stream.${kind}.${id}`;

// connect opens a socket of a version.
async function connect(version) {
  const socket = versions[version](`http://${server}`, { transports: ["websocket"], forceNew: true });
  await within(new Promise((resolve, reject) => socket.on("connect", resolve).on("connect_error", reject)), "to be connected");
  return socket;
}

// ask emits an event and returns the arguments of its answer.
const ask = (socket, event, ...data) => within(new Promise((resolve) => socket.emit(event, ...data, (...answer) => resolve(answer))), `for the answer to ${event}`);

// heard waits for an event, from now on, whose arguments fit.
function heard(socket, event, fits = () => true) {
  const came = new Promise((resolve) => socket.on(event, (...data) => fits(...data) && resolve(data)));
  return within(came, `for ${event}`);
}

// addressOf is one of many.
const addressOf = (number) => `/ip4/127.0.0.1/tcp/${number}/ws/p2p-websocket-star/ipfs/QmNj3AuAtJuYSUthdPTJbu435fyVncXw6CBRhM5rR9ZAVv`;

let made = 0;

// joins connects a client and registers a new address. Those before it may not be known to be gone yet.
async function joins(version, online = () => true) {
  const socket = await connect(version);
  const address = addressOf(++made);
  const answer = await ask(socket, "ss-join", address, "");
  demand(answer.length === 3 && answer[0] === null && answer[1] === null && online(answer[2]), "ss-join was answered", answer);
  return { socket, address };
}

// receive collects chunks of a stream to its end.
function receive(socket, id) {
  const got = [];
  const end = within(
    new Promise((resolve) => {
      socket.on(stream("queue", id), (chunk) => got.push(chunk));
      socket.on(stream("error", id), (error) => resolve(error));
    }),
    `for the end of ${id}`,
  );
  socket.emit(stream("accept", id));
  return end.then((error) => {
    demand(error === true, "the stream ended with", error);
    demand(got.length === chunks.length && got.every((chunk, i) => Buffer.isBuffer(chunk) && chunk.equals(chunks[i])), "other chunks came", got.map((chunk) => chunk?.length));
  });
}

// send sends all chunks once the other side reads, and the end.
async function send(socket, id, accepted) {
  await accepted;
  for (const chunk of chunks) socket.emit(stream("queue", id), chunk);
  socket.emit(stream("error", id), true);
}

async function meet(from, to) {
  const anna = await joins(from, Array.isArray);
  const told = heard(anna.socket, "ws-peer", (address) => address === addressOf(made));
  const ben = await joins(to, (others) => others.includes(anna.address));
  await told;

  const refused = await ask(anna.socket, "ss-join", 5, "");
  demand(refused.length === 1 && typeof refused[0] === "string", "a number as address was answered", refused);

  ben.socket.once("ss-incomming", (dial, source, answer) => answer("not now"));
  demand((await ask(anna.socket, "ss-dial", anna.address, ben.address, "first"))[0] === "not now", "another refusal came");

  const back = new Promise((resolve, reject) => {
    ben.socket.once("ss-incomming", (dial, source, answer) => {
      demand(dial === "second" && source === anna.address, "another dial came", [dial, source]);
      const accepted = heard(ben.socket, stream("accept", "second.listener"));
      const got = receive(ben.socket, "second.dialer");
      answer();
      Promise.all([got, send(ben.socket, "second.listener", accepted)]).then(resolve, reject);
    });
  });
  const accepted = heard(anna.socket, stream("accept", "second.dialer"));
  const answer = await ask(anna.socket, "ss-dial", anna.address, ben.address, "second");
  demand(!answer[0], "the dial was refused", answer);
  await Promise.all([receive(anna.socket, "second.listener"), send(anna.socket, "second.dialer", accepted), back]);

  ben.socket.once("ss-incomming", (dial, source, answer) => {
    ben.socket.emit(stream("accept", "third.dialer"));
    answer();
  });
  const end = heard(ben.socket, stream("error", "third.dialer"));
  await ask(anna.socket, "ss-dial", anna.address, ben.address, "third");
  anna.socket.disconnect();
  demand((await end)[0] === true, "the stream ended with", await end);
  ben.socket.disconnect();
}

for (const from of [2, 4]) {
  for (const to of [2, 4]) {
    await meet(from, to);
    console.log(`socket.io-client ${from} and ${to} have met`);
  }
}
process.exit(0);
