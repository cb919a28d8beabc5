// libp2p's own client at a rendezvous server: node star.mjs SCENARIO host:port
// Each scenario says itself what is wrong, and tells what it has seen.
import { addressOf, call, collect, demand, drawId, drawIds, echo, pull, sleep, Visitor } from "./star-client.mjs";

const [scenario, server] = process.argv.slice(2);
const tell = (line) => console.log(line);

// fails is the text with which something fails.
async function fails(promise) {
  const outcome = await promise.then(() => null, (error) => error.message);
  demand(outcome !== null, "something did not fail that should have");
  return outcome;
}

// round sends chunks through a connection, and wants them back.
async function round(connection, chunks) {
  const got = await call((done) => pull(pull.values(chunks), connection, pull.collect(done)), "for the echo");
  demand(Buffer.concat(got).equals(Buffer.concat(chunks)), "the echo differs");
}

// prompt lets somebody join and measures how long it takes until that is known: a second at most. On a busy machine it may need
// several attempts, but a server that waits for its next announcement to all needs ten seconds each time.
async function prompt(anna) {
  const times = [];
  for (let attempt = 0; attempt < 5; attempt++) {
    const one = new Visitor(server, await drawId("ed25519"), { open: anna.star.flag });
    await one.listen();
    const joined = performance.now();
    await Promise.all([anna.discovers(one.address), one.discovers(anna.address)]);
    times.push(performance.now() - joined);
    await one.leave();
    if (times.at(-1) <= 1000) return;
  }
  throw new Error(`discovery took ${times} ms`);
}

const scenarios = {
  // Everybody proves to have the key of an address.
  async challenge() {
    const [rsa, ed, other] = [await drawId("RSA"), await drawId("ed25519"), await drawId("ed25519")];
    const anna = new Visitor(server, rsa, { handle: echo });
    await anna.listen();
    tell("RSA: listens");
    const ben = new Visitor(server, ed, { handle: echo });
    await ben.listen();
    await Promise.all([anna.discovers(ben.address), ben.discovers(anna.address)]);
    tell("Ed25519: listens; both have discovered each other");
    await prompt(anna);
    tell("within a second");

    tell(`another's id: ${await new Visitor(server, other, { address: addressOf(server, rsa) }).refusal()}`);
    const forger = new Visitor(server, other);
    const sign = forger.star.id.privKey.sign;
    forger.star.id.privKey = { sign: (data, done) => ed.privKey.sign(data, done) };
    tell(`another's signature: ${await forger.refusal()}`);
    forger.star.id.privKey = { sign };
    tell(`no id: ${await new Visitor(server, other.toB58String()).refusal()}`);

    await round(await anna.dial(ben.address), [Buffer.from("hello"), Buffer.alloc(100_000, 7)]);
    await round(await ben.dial(anna.address), [Buffer.from("and back")]);
    await round(await anna.dial(anna.address), [Buffer.from("myself")]);
    tell("dialled, both ways and oneself");
    tell(`offline: ${await fails(anna.dial(addressOf(server, other)))}`);
    tell(`from another's address: ${await anna.emit("ss-dial", ben.address, anna.address, "stolen")}`);

    const connection = await anna.dial(ben.address);
    const rest = collect(connection.source, "for the end of the stream");
    const back = ben.again();
    anna.forget();
    ben.vanish();
    demand((await rest).length === 0, "something came");
    tell("who vanishes ends the streams");
    await back;
    await anna.discovers(ben.address);
    tell("and is back after a while");

    await ben.leave();
    tell(`left: ${await eventually("Peer not found", () => anna.dial(ben.address))}`);
  },

  // Nobody proves anything.
  async open() {
    const [careful, anna, ben] = (await drawIds(3)).map((id, i) => new Visitor(server, id, { open: i > 0, handle: echo }));
    demand((await careful.refusal()).includes("challenge disabled"), "a careful client has joined");
    tell("a careful client goes by itself");
    await anna.listen();
    await ben.listen();
    await Promise.all([anna.discovers(ben.address), ben.discovers(anna.address)]);
    await prompt(anna);
    await round(await anna.dial(ben.address), [Buffer.from("hello")]);
    tell("listens, discovers, dials");
    anna.socket.emit("ss-leave", anna.address);
    tell(`left: ${await eventually("Peer not found", () => ben.dial(anna.address))}`);
    tell(`from where it has left: ${await fails(anna.dial(ben.address))}`);
  },

  // The other end is not read while 64 MiB are on their way to it, and then sends all of it back.
  async pressure() {
    const [anna, ben] = (await drawIds(2)).map((id) => new Visitor(server, id, { handle: echo }));
    await anna.listen();
    await ben.listen();
    const chunks = Array.from({ length: 1024 }, (_, i) => Buffer.alloc(64 << 10, i));
    const connection = await anna.dial(ben.address);
    ben.pause();
    tell("64 MiB are on their way");
    const back = round(connection, chunks);
    await anna.stuck();
    tell("they are stuck");
    ben.resume();
    await back;
    tell("all came back");
  },

  // The server is restarted at the same address.
  async restart() {
    const [anna, ben] = (await drawIds(2)).map((id) => new Visitor(server, id, { handle: echo }));
    await anna.listen();
    await ben.listen();
    const connection = await anna.dial(ben.address);
    const rest = collect(connection.source, "for the end of the stream");
    const back = Promise.all([anna.again(), ben.again()]);
    tell("restart the server");
    demand((await rest).length === 0, "something came");
    tell("its end ends the streams");
    await back;
    tell("both have joined again");
    await round(await anna.dial(ben.address), [Buffer.from("hello again")]);
    await round(await ben.dial(anna.address), [Buffer.from("and back")]);
    tell("and dial");
  },

  // A hundred clients dial each other.
  async hundred() {
    const all = (await drawIds(100)).map((id) => new Visitor(server, id, { handle: echo }));
    for (const one of all) await one.listen();
    const others = all.map((one) => all.filter((other) => other !== one));
    await Promise.all(all.map((one, i) => Promise.all(others[i].map((other) => one.discovers(other.address)))));
    tell("all have discovered all");
    let dials = 0;
    await Promise.all(
      all.map(async (one, i) => {
        for (let step = 1; step <= dialsEach; step++) {
          const other = all[(i + step * step) % all.length];
          await round(await one.dial(other.address), [Buffer.from(`${one.address} ${other.address}`)]);
          dials++;
        }
      }),
    );
    tell(`${dials} dials`);
    demand(all.every((one) => one.errors.length === 0), "errors", all.map((one) => one.errors.map(String)));
  },
};

// dialsEach is how many others each of a hundred dials, one after the other.
const dialsEach = 10;

// eventually tries until something fails with a text: what was said on the way there is not answered.
async function eventually(text, attempt) {
  for (;;) {
    const outcome = await attempt().then(() => null, (error) => error.message);
    if (outcome === text) return outcome;
    await sleep(10);
  }
}

await scenarios[scenario]();
process.exit(0); // the client keeps timers of its own
