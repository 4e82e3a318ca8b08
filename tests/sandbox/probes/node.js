// A stand-in for the Node.js bootstrap: runs the code that the test sends and returns what it returns.
'use strict';
const fs = require('fs');
const fd = Number(process.env.EDGEFN_FD);
const buffer = Buffer.alloc(65536);
let pending = '';
const AsyncFunction = (async () => {}).constructor;
async function main() {
  for (;;) {
    const count = fs.readSync(fd, buffer);
    if (count === 0) return;
    pending += buffer.toString('utf8', 0, count);
    for (let end = pending.indexOf('\n'); end >= 0; end = pending.indexOf('\n')) {
      const code = JSON.parse(pending.slice(0, end));
      pending = pending.slice(end + 1);
      let reply;
      try {
        reply = { result: await new AsyncFunction('require', code)(require) };
      } catch (error) {
        reply = { error: `${error.code || error.name}: ${error.message}` };
      }
      fs.writeSync(fd, JSON.stringify(reply) + '\n');
    }
  }
}
main();
