// Scenarios of one library: each gets an empty database; run() prints one line for each and sets the exit status.
'use strict';
const port = Number(process.argv[2]);
const host = '127.0.0.1';
const scenarios = [];

function scenario(name, body) {
  scenarios.push({ name, body });
}

async function run(library) {
  let failed = 0;
  for (const { name, body } of scenarios) {
    let timer;
    const timeout = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error('took more than 20 s')), 20000);
    });
    try {
      await Promise.race([body(), timeout]);
      console.log(`ok ${library}: ${name}`);
    } catch (error) {
      failed++;
      console.log(`FAILED ${library}: ${name}: ${error.stack}`);
    }
    clearTimeout(timer);
  }
  console.log(`${library}: ${scenarios.length} scenarios, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

// Every byte value, CR, LF and NUL at both ends.
const binary = Buffer.concat([Buffer.from([0, 13, 10]), Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
  Buffer.from([13, 10, 0])]);

module.exports = { port, host, scenario, run, sleep, binary };
