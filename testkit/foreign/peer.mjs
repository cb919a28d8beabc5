// patience is how long one frame may take, in milliseconds. Nothing is measured with it: it only turns a hang into a failure.
const patience = 60_000;

// Peer is one connection, and tells what it sends and hears.
export class Peer {
  #socket;
  #tell;
  #frames = [];
  #closed = null;
  #wake = () => {};

  constructor(WebSocket, url, name, tell, subprotocols = []) {
    this.name = name;
    this.#tell = tell;
    this.#socket = new WebSocket(url, subprotocols);
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

  // subprotocol is what the server agreed to, once the connection is open.
  get subprotocol() {
    return this.#socket.protocol;
  }

  async open() {
    await this.#until(() => this.#socket.readyState !== this.#socket.constructor.CONNECTING, "to be opened");
    if (this.#closed) throw new Error(`${this.name}: not opened, ${this.#closed.code}`);
    await this.#tell(`${this.name} opened, extensions ${JSON.stringify(this.#socket.extensions)}`);
  }

  async say(frame) {
    await this.sayText(JSON.stringify(frame));
  }

  async sayText(text) {
    await this.#tell(`${this.name} > ${text}`);
    this.#socket.send(text);
  }

  // hear takes the next frame, in the order of arrival.
  async hear() {
    return this.hearOne(() => true, "a frame");
  }

  // hearOne takes the next frame that is wanted; those before stay.
  async hearOne(wanted, what) {
    const find = () => this.#frames.findIndex(wanted);
    await this.#until(() => find() >= 0, `for ${what}`);
    if (find() < 0) throw new Error(`${this.name}: closed ${this.#closed.code} while waiting for ${what}, unread are ${JSON.stringify(this.#frames)}`);
    const [frame] = this.#frames.splice(find(), 1);
    await this.#tell(`${this.name} < ${frame}`);
    return frame;
  }

  // close waits until the other side has closed.
  async close() {
    await this.#until(() => this.#closed, "to be closed");
    if (this.#frames.length > 0) await this.#tell(`${this.name} never read ${JSON.stringify(this.#frames)}`);
    await this.#tell(`${this.name} closed ${this.#closed.code}, clean ${this.#closed.wasClean}`);
  }

  // until waits for the condition, or for the close, after which nothing can come any more.
  async #until(condition, what) {
    while (!condition() && !this.#closed) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`${this.name}: waited ${patience} ms ${what}, unread are ${JSON.stringify(this.#frames)}`)), patience);
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
