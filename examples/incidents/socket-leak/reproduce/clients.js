'use strict';
// Short visits: connect, ask, read the answer, leave. A few clients stay.
const net = require('net');

const [port, visits, stay] = process.argv.slice(2).map(Number);
const log = (...text) => console.log(new Date().toISOString(), ...text);
let done = 0;

function visit(keep) {
  const socket = net.connect(port, '127.0.0.1', () => socket.write('hello\n'));
  socket.once('data', () => {
    if (!keep) socket.end();
  });
  socket.on('error', (error) => log(`client: ${error.message}`));
  if (keep) return;
  socket.on('close', () => {
    if (++done === visits) log(`${done} visits done`);
  });
}

for (let i = 0; i < stay; i++) visit(true);
let left = visits;
const timer = setInterval(() => {
  for (let i = 0; i < 10 && left > 0; i++, left--) visit(false);
  if (left === 0) clearInterval(timer);
}, 50);
