// Two people have a user interface each, and run a Node. Every foreign client of this folder holds this same conversation,
// with whatever class it has that looks like the browser's WebSocket.
import { Peer } from "./peer.mjs";

// shown are the parameters that are told of a Setup space: it has many, and they are not what this is about.
const shown = ["chain", "clandestine-port", "data-directory", "log-level", "metrics-address", "node-name", "relay-token"];

function shortened(line) {
  if (!line.includes('"opcode":"setup"')) return line;
  return line
    .replace(/\{"name":"([^"]*)","value":"[^"]*","status":"[^"]*"\},?/g, (row, name) => (shown.includes(name) ? row : ""))
    .replace("},]", "}]");
}

// Interface is a user interface.
class Interface extends Peer {
  #tell;
  #contextId = 0;

  constructor(WebSocket, url, name, tell) {
    const short = (line) => tell(shortened(line));
    super(WebSocket, url, name, short, ["MASQNode-UIv2"]);
    this.#tell = short;
  }

  async open() {
    await super.open();
    await this.#tell(`${this.name} speaks ${this.subprotocol}`);
  }

  // ask begins a conversation, and returns its answer.
  async ask(opcode, payload) {
    const contextId = this.#contextId++; // 0 is as good as any
    await this.say({ opcode, contextId, payload });
    return this.answer(contextId);
  }

  async answer(contextId) {
    return this.#next((message) => message.contextId === contextId, `the answer to ${contextId}`);
  }

  // news takes the next isolated message of an opcode. Answers and news overtake each other, so each is waited for by itself.
  async news(opcode) {
    return this.#next((message) => message.opcode === opcode && !("contextId" in message), opcode);
  }

  async #next(wanted, what) {
    return JSON.parse(await this.hearOne((frame) => wanted(JSON.parse(frame)), what));
  }
}

// govern holds the conversation with the Daemon at url, and with the Node that it starts, and tells it line by line.
// When it tells "stop the Daemon", the listener stops the Daemon, and the conversation ends with the close that both see.
export async function govern(WebSocket, url, tell) {
  const connect = async (name, at) => {
    const one = new Interface(WebSocket, at, name, tell);
    await one.open();
    return one;
  };
  const anna = await connect("anna", url);
  const ben = await connect("ben", url);
  await prepare(anna, ben);

  await ben.ask("subscribe", { opcodes: ["nodeStarted", "crashed"] });
  await anna.ask("start", {});
  await ben.news("nodeStarted");
  await anna.ask("start", {});
  await anna.ask("setup", { values: [{ name: "node-name", value: "oak" }] });

  // The Daemon does not know what only a Node knows. The conversation goes on there, with the same request.
  await anna.say({ opcode: "configuration", contextId: 99, payload: { dbPasswordOpt: null } });
  const { payload: there } = await anna.news("redirect");
  const at = `ws://127.0.0.1:${there.port}`;
  const annaThere = await connect("anna@node", at);
  await annaThere.sayText(`{"opcode":"${there.opcode}","contextId":${there.contextId},"payload":${there.payload}}`);
  await annaThere.answer(there.contextId);
  const benThere = await connect("ben@node", at);
  await talkToNode(annaThere, benThere);

  await annaThere.ask("shutdown", {});
  await annaThere.close();
  await benThere.close();
  await anna.news("crashed");
  await ben.news("crashed");
  await anna.ask("setup", { values: [] });

  await tell("stop the Daemon");
  await anna.close();
  await ben.close();
}

// prepare fills the Setup space, and says some things that no Daemon understands.
async function prepare(anna, ben) {
  const values = [
    { name: "clandestine-port", value: "0" },
    { name: "log-level", value: "off" },
    { name: "metrics-address", value: "off" },
    { name: "node-name", value: "fern" },
    { name: "relay-token", value: "not-for-everybody" },
  ];
  await anna.ask("setup", { values });
  await ben.news("setup");
  await ben.ask("setup", { values: [{ name: "node-name", value: null }, { name: "log-level", value: "loud" }, { name: "booga", value: "" }] });
  await anna.ask("configuration", {});
  await anna.ask("setup", {});
  await anna.say({ opcode: "booga", payload: {} });
  await anna.news("undelivered");
  await anna.sayText('["setup"]');
  await anna.news("unmarshalError");
  await anna.sayText('{"opcode":"booga","contextId":18446744073709551615,"payload":{}}'); // more than JavaScript can count
  await anna.answer(Number("18446744073709551615"));
}

async function talkToNode(anna, ben) {
  await ben.ask("subscribe", { opcodes: ["newPassword", "configurationChanged"] });
  await anna.ask("checkPassword", { dbPasswordOpt: null });
  await anna.ask("setConfiguration", { name: "log-level", value: "info" });
  await ben.news("configurationChanged");
  await anna.ask("changePassword", { newPassword: "Grüße, 世界 👋" });
  await ben.news("newPassword");
  await anna.news("logBroadcast");
  await anna.ask("setConfiguration", { name: "log-level", value: "off" });
  await ben.news("configurationChanged");
  await anna.ask("subscribe", { opcodes: [] }); // what the Node logs from here on depends on the machine
  await anna.ask("changePassword", { newPassword: "another" });
  await anna.ask("checkPassword", { dbPasswordOpt: "Grüße, 世界 👋" });
  await ben.ask("checkPassword", { dbPasswordOpt: "a guess" });
  await ben.ask("booga", {});
  await ben.ask("setConfiguration", { name: "booga", value: "1" });
}
