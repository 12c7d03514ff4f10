/* Node's `ws` as a broadcaster: every EVERY ms SIZE bytes to all who are connected. Usage: node_ws.js PORT SIZE EVERY WAY
 * WAY `send`: `ws.send` of the same buffer to each, as its README does. WAY `frame`: there is no broadcast in ws, but
 * `Sender.frame` is public and so is the socket of the request, so one frame is made and its bytes are written to each.
 */
'use strict';
const WebSocket = require('ws');
const [port, size, every] = process.argv.slice(2, 5).map(Number);
const data = Buffer.alloc(size);

const framed = process.argv[5] === 'frame';
const frame = Buffer.concat(WebSocket.Sender.frame(data, { fin: true, opcode: 2, mask: false, rsv1: false }));
const sockets = new Set();

const server = new WebSocket.Server({ host: '127.0.0.1', port, backlog: 4096, perMessageDeflate: false });
server.on('connection', (ws, request) => {
  sockets.add(request.socket);
  ws.on('error', () => {});
  ws.on('close', () => sockets.delete(request.socket));
});

let next = performance.now();
(function broadcast() {
  if (framed) for (const socket of sockets) socket.write(frame);
  else for (const ws of server.clients) if (ws.readyState === WebSocket.OPEN) ws.send(data);
  next += every;
  setTimeout(broadcast, Math.max(0, next - performance.now()));
})();
