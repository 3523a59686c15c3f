'use strict';
const { exec, spawn: start } = require('node:child_process');
const cp = require("child_process"), util = require('util');
const run = util.promisify(cp.execFile);
// exec('not this one')
const cmd = 'node bin/web start --port=8080';
exec(cmd, { cwd: __dirname + '/..', maxBuffer: 1024 * 1024, shell }, (err, out) => {
  console.log('exec(this is text)', err);
});
start('node', ['worker.js'], { stdio: 'inherit' });
run('/usr/bin/env', ['x'], { timeout: 5000 });
require('child_process').fork('./child.js');
function execute() {}
const re = /x/; re.exec('y');
const server = require('net').createServer({ allowHalfOpen: true }, s => s.pipe(s));
server.keepAliveTimeout = 5000;
server.listen(8080, '127.0.0.1');
process.kill(4711, 'SIGTERM');
