// Two people talk through a relay. Every foreign client of this folder holds this same conversation,
// with whatever class it has that looks like the browser's WebSocket.

// patience is how long one frame may take, in milliseconds. Nothing is measured with it: it only turns a hang into a failure.
const patience = 60_000;

// Peer is one connection, and tells what it sends and hears.
class Peer {
  #socket;
  #tell;
  #frames = [];
  #closed = null;
  #wake = () => {};

  constructor(WebSocket, url, name, tell) {
    this.name = name;
    this.#tell = tell;
    this.#socket = new WebSocket(url);
    this.#socket.addEventListener("message", (event) => {
      this.#frames.push(event.data);
      this.#wake();
    });
    this.#socket.addEventListener("close", (event) => {
      this.#closed = event;
      this.#wake();
    });
    this.#socket.addEventListener("error", () => {}); // a close event follows and says more
  }

  async open() {
    await this.#until(() => this.#socket.readyState !== this.#socket.constructor.CONNECTING, "to be opened");
    if (this.#closed) throw new Error(`${this.name}: not opened, ${this.#closed.code}`);
    await this.#tell(`${this.name} opened, extensions ${JSON.stringify(this.#socket.extensions)}`);
  }

  async say(frame) {
    const text = JSON.stringify(frame);
    await this.#tell(`${this.name} > ${text}`);
    this.#socket.send(text);
  }

  // hear takes the next frame, in the order of arrival.
  async hear() {
    await this.#until(() => this.#frames.length > 0, "for a frame");
    if (this.#frames.length === 0) throw new Error(`${this.name}: closed ${this.#closed.code} while waiting for a frame`);
    await this.#tell(`${this.name} < ${this.#frames.shift()}`);
  }

  async ask(frame) {
    await this.say(frame);
    await this.hear();
  }

  async close() {
    await this.#until(() => this.#closed, "to be closed");
    if (this.#frames.length > 0) await this.#tell(`${this.name} never read ${JSON.stringify(this.#frames)}`);
    await this.#tell(`${this.name} closed ${this.#closed.code}, clean ${this.#closed.wasClean}`);
  }

  // until waits for the condition, or for the close, after which nothing can come any more.
  async #until(condition, what) {
    while (!condition() && !this.#closed) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${this.name}: waited ${patience} ms ${what}`)), patience);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (this.#socket.readyState === this.#socket.constructor.CONNECTING) {
          this.#socket.addEventListener("open", this.#wake, { once: true });
        }
      });
    }
  }
}

// converse holds the conversation at url and tells it line by line. When it tells "stop the node",
// the listener stops the node, and the conversation ends with the close that both see.
export async function converse(WebSocket, url, tell) {
  const anna = new Peer(WebSocket, url, "anna", tell);
  await anna.open();
  const ben = new Peer(WebSocket, url, "ben", tell);
  await ben.open();

  await anna.ask({ command: "subscribe", data: { topic: "channel1", password: "wordpass" }, nonce: "abc123" });
  await ben.ask({ command: "subscribe", data: { topic: "channel1", password: "guess" }, nonce: "abc124" });
  await ben.ask({ command: "list", data: {}, nonce: "abc125" });
  await ben.ask({ command: "subscribe", data: { topic: "channel1", password: "wordpass" }, nonce: "abc126" });
  await ben.ask({ command: "list", nonce: 127 });

  await anna.ask({ command: "send", data: { message: "Hello", channel: "channel1" }, nonce: "abc128" });
  await ben.hear();
  await ben.ask({ command: "send", data: { message: "Grüße, 世界 👋", channel: "channel1" } });
  await anna.hear();

  // Ben leaves: what Anna sends then must not reach him, so that the next frame he hears is the answer to his own question.
  await ben.ask({ command: "unsubscribe", data: { topic: "channel1" }, nonce: "abc129" });
  await anna.ask({ command: "send", data: { message: "Still there?", channel: "channel1" }, nonce: "abc130" });
  await ben.ask({ command: "list", data: {}, nonce: "abc131" });
  await ben.ask({ command: "send", data: { message: "No", channel: "channel1" }, nonce: "abc132" });

  await tell("stop the node");
  await anna.close();
  await ben.close();
}
