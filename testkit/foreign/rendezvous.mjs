// The rendezvous server that others wrote, for as long as it is not told to end: node --expose-gc rendezvous.mjs on|off [port]
// The word says whether clients are challenged. When it listens it prints one line as parley does; GET / of the other address
// collects garbage and answers with the bytes that are in use.
import http from "node:http";
import { createRequire } from "node:module";

const [challenge = "on", port = "0"] = process.argv.slice(2);
const rendezvous = createRequire(import.meta.url)("libp2p-websocket-star-rendezvous");

const server = await rendezvous.start({
  host: "127.0.0.1",
  port, // as text: it takes the number 0 for none
  cryptoChallenge: challenge === "on",
  strictMultiaddr: true,
  metrics: false,
});

const heap = http.createServer((request, response) => {
  globalThis.gc?.();
  response.end(`heap_bytes ${process.memoryUsage().heapUsed}\n`);
});
heap.listen(0, "127.0.0.1", () => {
  console.log(`ready ${JSON.stringify({ star: `127.0.0.1:${server.info.port}`, heap: `127.0.0.1:${heap.address().port}` })}`);
});

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(0));
