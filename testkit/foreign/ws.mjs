// The npm package ws holds the conversation: node ws.mjs ws://127.0.0.1:8912/connect
import WebSocket from "ws";
import { converse } from "./conversation.mjs";

await converse(WebSocket, process.argv[2], (line) => console.log(line));
