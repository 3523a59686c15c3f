'use strict';
// A service that writes an access log to stdout, as containers want it, and events
// of its life to a file. Asked to stop, it stops its worker first.
const fs = require('fs');
const { fork } = require('child_process');

const log = (...text) => fs.appendFileSync(process.env.EVENT_LOG, `${new Date().toISOString()} [service] ${text.join(' ')}\n`);

if (process.argv[2] === 'worker') {
  process.on('message', () => {});
  setInterval(() => {}, 1000);
} else {
  const worker = fork(__filename, ['worker']);
  log(`started pid=${process.pid} worker=${worker.pid}`);
  let n = 0;
  const access = setInterval(() => {
    for (let i = 0; i < 10; i++) {
      console.log(`${new Date().toISOString()} GET /quotes/${++n} 200 ${n % 17}ms "Mozilla/5.0 (X11; Linux x86_64)"`);
    }
  }, 8);
  process.on('SIGTERM', () => {
    log('received SIGTERM, closing');
    clearInterval(access);
    worker.once('exit', (code, signal) => {
      log(`worker ${worker.pid} exit code=${code} signal=${signal}`);
      process.exit(0);
    });
    worker.kill();
  });
}
