// libp2p's own client of a rendezvous server, with promises.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const WebSocketStar = require("libp2p-websocket-star");
const PeerId = require("peer-id");
const multiaddr = require("multiaddr");
const pull = require("pull-stream");

// patience is how long anything may take, in milliseconds. Nothing is measured with it: it only turns a hang into a failure.
const patience = 60_000;

export function demand(condition, what, value) {
  if (!condition) throw new Error(value === undefined ? what : `${what}: ${JSON.stringify(value)}`);
}

// within is a promise that fails when it takes too long.
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${patience} ms ${what}`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const call = (run, what) => within(new Promise((resolve, reject) => run((error, value) => (error ? reject(error) : resolve(value)))), what);

// drawId makes a key: "RSA" or "ed25519".
export const drawId = (keyType) => call((done) => PeerId.create({ keyType, bits: 2048 }, done), "for a key");

// drawIds makes several, of the kind that is made quickly.
export const drawIds = (n) => Promise.all(Array.from({ length: n }, () => drawId("ed25519")));

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// addressOf is where an id can be met at a server.
export function addressOf(server, id) {
  const [host, port] = server.split(":");
  return `/ip4/${host}/tcp/${port}/ws/p2p-websocket-star/ipfs/${typeof id === "string" ? id : id.toB58String()}`;
}

// Visitor is a client with an address.
export class Visitor {
  #joins = 0;
  #joined = () => {};

  constructor(server, id, { address, open = false, handle } = {}) {
    this.address = address ?? addressOf(server, id);
    this.heard = []; // addresses, as they were discovered
    this.errors = [];
    this.star = new WebSocketStar({ id: id?.privKey ? id : undefined, allowJoinWithDisabledChallenge: open });
    this.star.discovery.on("peer", (info) => this.#found(info));
    this.listener = this.star.createListener((connection) => handle?.(connection));
    this.listener.on("error", (error) => this.errors.push(error));
    const join = this.listener._crypto; // it tells nobody when it has joined again
    this.listener._crypto = (done) => join.call(this.listener, (error, ...rest) => this.#answered(error, () => done(error, ...rest)));
  }

  #answered(error, done) {
    done();
    if (error) return;
    this.#joins++;
    this.#joined();
  }

  #found(info) {
    this.heard.push(...info.multiaddrs.toArray().map(String));
    this.wake?.();
  }

  // socket is the client's socket.io socket.
  get socket() {
    return this.listener.io;
  }

  listen() {
    return call((done) => this.listener.listen(multiaddr(this.address), done), "to listen");
  }

  // refusal is the text with which listening fails.
  async refusal() {
    try {
      await this.listen();
    } catch (error) {
      return error.message;
    }
    throw new Error(`${this.address} was let in`);
  }

  // forget forgets who was discovered.
  forget() {
    this.heard = [];
  }

  // discovers waits until it has heard of an address.
  discovers(address) {
    const found = new Promise((resolve) => {
      const look = () => {
        if (!this.heard.includes(address)) return;
        this.wake = undefined;
        resolve();
      };
      this.wake = look;
      look();
    });
    return within(found, `to hear of ${address}`);
  }

  dial(address) {
    return call((done) => this.star.dial(multiaddr(address), done), `to dial ${address}`);
  }

  // leave closes the client as libp2p does: it gives its address up and hangs up.
  leave() {
    return call((done) => this.listener.close(done), "to close");
  }

  // again resolves when the client has joined once more than until now.
  again() {
    const before = this.#joins;
    return within(
      new Promise((resolve) => {
        this.#joined = () => this.#joins > before && resolve();
      }),
      "until it has joined again",
    );
  }

  // emit sends an event and returns the first thing that its answer says.
  emit(event, ...data) {
    return within(new Promise((resolve) => this.socket.emit(event, ...data, resolve)), `for the answer to ${event}`);
  }

  get #wire() {
    return this.socket.io.engine.transport.ws._socket;
  }

  // pause reads no more until resume.
  pause() {
    this.#wire.pause();
  }

  resume() {
    this.#wire.resume();
  }

  // stuck waits until the server takes no more of what the client sends.
  async stuck() {
    const still = 1000;
    for (let before = -1, now = this.#wire.bytesWritten - this.#wire.writableLength; now !== before; ) {
      before = now;
      await sleep(still);
      now = this.#wire.bytesWritten - this.#wire.writableLength;
    }
    demand(this.#wire.writableLength > 0, "the server has taken all");
  }

  // vanish ends the connection without a word.
  vanish() {
    this.#wire.destroy();
  }
}

// echo is a handler that sends back what comes.
export const echo = (connection) => pull(connection, connection);

// collect reads a stream to its end.
export const collect = (source, what) => call((done) => pull(source, pull.collect(done)), what);

export { pull, call };
