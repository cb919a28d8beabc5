import WebSocket from "ws";
const url=process.argv[2];
const w=new WebSocket(url,"MASQNode-UIv2");
let ctx=0;
function go(w,name,msgs){
w.on("message",d=>{console.log(name,"<",d.toString());});
w.on("close",(c,r)=>console.log(name,"closed",c,r.toString()));
}
go(w,"d");
await new Promise(r=>w.on("open",r));
const say=(w,op,p)=>{w.send(JSON.stringify({opcode:op,contextId:++ctx,payload:p}));return new Promise(r=>{const f=d=>{const m=JSON.parse(d);if(m.contextId===ctx||m.opcode=="redirect"){w.off("message",f);r(m)}};w.on("message",f)})};
await say(w,"setup",{values:[{name:"clandestine-port",value:"0"},{name:"metrics-address",value:"off"},{name:"ui-origins",value:"http://127.0.0.1:9999"}]});
await say(w,"configuration",{});
const s=await say(w,"start",{});
const r=await say(w,"configuration",{dbPasswordOpt:null});
const n=new WebSocket("ws://127.0.0.1:"+r.payload.port,"MASQNode-UIv2");
go(n,"n");
await new Promise(r=>n.on("open",r));
await say(n,"configuration",{});
await say(n,"changePassword",{newPassword:"x"});
await say(n,"checkPassword",{dbPasswordOpt:"x"});
await say(n,"booga",{});
await say(n,"shutdown",{});
