// Goes through every function and method of the official Node SDK against a running `applink dev`.
//
// It reads the stack from the environment (see stack.js), prints one JSON line per step and exits with 1 when a
// step failed. `cargo xtask test node-sdk` starts both.
'use strict';

const { version } = require('@heroku/applink/package.json');

const { Steps } = require('./steps');
const { stack } = require('./stack');

const PARTS = [
  require('./steps/authorizations'),
  require('./steps/requests'),
  require('./steps/data'),
  require('./steps/unit_of_work'),
  require('./steps/org_request'),
  require('./steps/bulk'),
  require('./steps/data_cloud'),
  require('./steps/integrations'),
  require('./steps/surface'),
];

async function main() {
  const steps = new Steps('@heroku/applink', version);
  const local = stack(process.env);
  for (const part of PARTS) {
    await part(steps, local);
  }
  process.exitCode = steps.failed === 0 ? 0 : 1;
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
