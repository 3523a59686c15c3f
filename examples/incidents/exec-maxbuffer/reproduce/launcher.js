'use strict';
// Starts the service the way many deploy scripts do. The bug: exec collects what
// the child prints, and ends the child once that is more than maxBuffer (1 MiB).
const { exec, spawn } = require('child_process');

const log = (...text) => console.log(new Date().toISOString(), '[launcher]', ...text);
log(`pid=${process.pid} starting the service`);
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
  process.on(signal, () => log(`got ${signal}`));
}

const stopped = () => log('service stopped');
if (process.env.FIXED) {
  spawn('node', ['service.js'], { cwd: __dirname, stdio: 'inherit' }).on('exit', stopped);
} else {
  exec('exec node service.js', { cwd: __dirname }, stopped);
}
