// A user interface with the habits of those that are around: node habits.mjs 5333
// It answers no ping, asks for an opcode that nobody has to find out who is there, reads no more frames than it needs, takes
// every key that it knows for granted, gives up at a frame that it does not expect, and dials to see whether a Node is gone.
import net from "node:net";
import WebSocket from "ws";

const patience = 60_000; // milliseconds for one frame: it only turns a hang into a failure
const invented = "isAnybodyThere"; // no opcode of anything

function demand(condition, what, value) {
  if (!condition) throw new Error(`${what}: ${JSON.stringify(value)}`);
}

// Line is a connection that is read only while somebody waits for a frame.
class Line {
  #socket;
  #frames = [];
  #wake = () => {};
  #contextId = 0;

  async open(port) {
    this.#socket = new WebSocket(`ws://127.0.0.1:${port}/UINode`, "MASQNode-UIv2", { autoPong: false });
    this.#socket.on("message", (data, binary) => {
      demand(!binary, "a binary frame", data);
      this.#frames.push(JSON.parse(data));
      this.#wake();
    });
    this.#socket.on("close", () => this.#wake(new Error("closed while waiting for a frame")));
    await new Promise((resolve, reject) => this.#socket.on("open", resolve).on("error", reject));
    this.#socket.pause();
    return this;
  }

  // next reads until a frame is what is needed, and drops those before.
  async next(wanted) {
    for (;;) {
      while (this.#frames.length > 0) {
        const frame = this.#frames.shift();
        demand(frame.opcode !== "connectionChange" || frame.payload.stage !== "NotConnected", "news of no connection", frame);
        if (wanted(frame)) {
          this.#socket.pause();
          return frame;
        }
        demand(!("contextId" in frame), "an answer that nobody asked for", frame);
      }
      await this.#arrival();
    }
  }

  async #arrival() {
    await new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited ${patience} ms for a frame`)), patience);
      this.#wake = (error) => {
        clearTimeout(timer);
        error ? reject(error) : resolve();
      };
      this.#socket.resume();
    });
  }

  // ask returns the answer, the error or the redirect.
  async ask(opcode, payload) {
    const contextId = this.#contextId++;
    this.#socket.send(JSON.stringify({ opcode, contextId, payload }));
    return this.next((frame) => frame.contextId === contextId || (frame.opcode === "redirect" && frame.payload.contextId === contextId));
  }

  hangUp() {
    this.#socket.terminate();
  }
}

// gone tells whether nobody listens at a port, by dialling once.
function gone(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.on("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.on("error", (error) => resolve(error.code === "ECONNREFUSED"));
  });
}

// checkSetup wants what it always shows.
function checkSetup(frame) {
  const { payload } = frame;
  demand(payload, "no answer to setup", frame);
  for (const name of ["chain", "data-directory"]) {
    demand(payload.values.some((row) => row.name === name && row.value !== ""), `setup without ${name}`, payload);
  }
  const statuses = ["Default", "Configured", "Set", "Blank", "Required"];
  for (const row of payload.values) demand(typeof row.value === "string" && statuses.includes(row.status), "setup with another row", row);
  for (const error of payload.errors) demand(error.length === 2, "setup with another error", error);
  return payload;
}

const numbers = (...names) => Object.fromEntries(names.map((name) => [name, "number"]));

// configuration is every key of the answer of that name, and what it must be; a list has all that are allowed.
const configuration = {
  chainName: "string",
  clandestinePort: "number",
  currentSchemaVersion: "string",
  gasPrice: "number",
  neighborhoodMode: "string",
  pastNeighbors: "object",
  paymentThresholds: numbers(
    "thresholdIntervalSec", "debtThresholdGwei", "paymentGracePeriodSec", "maturityThresholdSec", "permanentDebtAllowedGwei", "unbanBelowGwei",
  ),
  portMappingProtocol: ["string", "null"],
  ratePack: numbers("routingByteRate", "routingServiceRate", "exitByteRate", "exitServiceRate"),
  scanIntervals: numbers("pendingPayableSec", "payableSec", "receivableSec"),
  startBlock: ["number", "null"],
};

function checkShape(value, shape, at) {
  if (typeof shape === "object" && !Array.isArray(shape)) {
    demand(value !== null && typeof value === "object", `${at} is no object`, value);
    for (const [name, inner] of Object.entries(shape)) checkShape(value[name], inner, `${at}.${name}`);
    return;
  }
  demand([shape].flat().includes(value === null ? "null" : typeof value), `${at} is not ${shape}`, value);
}

const daemonPort = Number(process.argv[2]);
const daemon = await new Line().open(daemonPort);
const tell = (line) => console.log(line);

const alone = await daemon.ask(invented, {});
demand(alone.error.message === `Cannot handle ${invented} request: Node is not running`, "another text", alone);
tell("nobody there");

checkSetup(await daemon.ask("setup", { values: [] }));
const values = [["chain", "dev"], ["clandestine-port", "0"], ["metrics-address", "off"], ["gas-price", "50"]].map(([name, value]) => ({ name, value }));
const set = checkSetup(await daemon.ask("setup", { values }));
demand(!set.running && set.errors.length === 0, "setup", set);
tell("set up");

const { payload: started } = await daemon.ask("start", {});
checkShape(started, numbers("newProcessId", "redirectUiPort"), "start");
demand(checkSetup(await daemon.ask("setup", { values: [] })).running, "setup says that no Node runs", started);
tell("started");

const { opcode, payload: there } = await daemon.ask(invented, {});
demand(opcode === "redirect" && there.port === started.redirectUiPort && there.opcode === invented && there.payload === "{}", "redirect", there);
const node = await new Line().open(there.port);
const unknown = await node.ask(there.opcode, JSON.parse(there.payload));
demand(unknown.opcode === invented && typeof unknown.error.code === "number", "no error", unknown);
tell("redirected");

const { payload: configured } = await node.ask("configuration", { dbPasswordOpt: null });
checkShape(configured, configuration, "configuration");
tell("configuration is complete");

const done = await node.ask("shutdown", {});
demand(done.opcode === "shutdown" && JSON.stringify(done.payload) === "{}", "shutdown", done);
demand(await gone(there.port), "somebody listens still", there.port);
node.hangUp();
tell("the Node is gone");

const { payload: end } = await daemon.next((frame) => frame.opcode === "crashed");
demand(end.processId === started.newProcessId && end.requested === true && end.exitCode === 0, "another end", end);
const again = await daemon.ask(invented, {});
demand(again.error.message === alone.error.message, "another text", again);
daemon.hangUp();
tell("nobody there");
