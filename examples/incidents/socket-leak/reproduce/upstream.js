'use strict';
// The local service behind the proxy: answers each line, and leaves it to the
// other side to close.
const net = require('net');

const server = net.createServer((socket) => {
  socket.on('data', (data) => socket.write(`ok ${data}`));
  socket.on('error', () => socket.destroy());
});
server.listen(0, '127.0.0.1', () => {
  console.log(new Date().toISOString(), `upstream pid=${process.pid} listening on 127.0.0.1:${server.address().port}`);
});
