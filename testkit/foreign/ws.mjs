// The npm package ws holds a conversation: node ws.mjs converse ws://127.0.0.1:8912/connect, node ws.mjs govern ws://127.0.0.1:5333
import WebSocket from "ws";
import { converse } from "./conversation.mjs";
import { govern } from "./interfaces.mjs";

const [talk, url] = process.argv.slice(2);
await { converse, govern }[talk](WebSocket, url, (line) => console.log(line));
