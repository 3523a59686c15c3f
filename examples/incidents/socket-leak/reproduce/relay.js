'use strict';
// Forwards each client to the upstream. The bug: the two sockets are tied to each
// other in one direction only. When the upstream closes, the client is closed;
// when the client leaves, nobody closes the upstream's socket.
const net = require('net');
const fs = require('fs');

const [upstreamPort, metricsFile] = process.argv.slice(2);
const log = (...text) => console.log(new Date().toISOString(), ...text);
let accepted = 0;

const server = net.createServer((client) => {
  accepted++;
  client.setKeepAlive(true, 60000);
  const upstream = net.connect(Number(upstreamPort), '127.0.0.1');
  client.on('data', (data) => upstream.write(data));
  upstream.on('data', (data) => client.write(data));
  upstream.on('close', () => client.destroy());
  if (process.env.FIXED) client.on('close', () => upstream.destroy());
  client.on('error', () => client.destroy());
  upstream.on('error', () => upstream.destroy());
});

server.listen(0, '127.0.0.1', () => {
  log(`relay pid=${process.pid} listening on 127.0.0.1:${server.address().port}, upstream 127.0.0.1:${upstreamPort}`);
});

fs.writeFileSync(metricsFile, 'time,pid,active_handles,rss_mb,accepted_total\n');
setInterval(() => {
  const handles = process._getActiveHandles().length;
  const rss = (process.memoryUsage().rss / 1048576).toFixed(1);
  fs.appendFileSync(metricsFile, `${new Date().toISOString()},${process.pid},${handles},${rss},${accepted}\n`);
}, 1000);
