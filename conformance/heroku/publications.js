// Publications beside the client under test: what the add-on lists, what breaks callers, and taking one back with our
// own CLI, since the official one can't.
'use strict';

const assert = require('node:assert/strict');
const { execFile } = require('node:child_process');

const { asApp, lookAtOrg } = require('./org');

// The call-out's document with its operation under another name: whoever calls the old one is broken.
function breaking(spec) {
  const changed = spec.replace('operationId: provisionServices', 'operationId: setUpServices');
  assert.notEqual(changed, spec);
  return changed;
}

// The publication as the add-on lists it.
async function isLive(dev, client) {
  const answer = await asApp(dev, 'GET', `/connections/salesforce/acme/apps/${dev.app_id}`);
  const found = (await answer.json()).find((one) => one.esr_name === client);
  assert.ok(found?.esr_id, `${client} is not published`);
  return found;
}

// `applink unpublish`, run to its end: the org has nothing of it any more.
async function takenBack(dev, client) {
  const words = ['unpublish', client, '--connection-name', 'acme', '--confirm', client];
  await new Promise((resolve, reject) => {
    execFile(process.env.APPLINK_BIN, words, (error, stdout, stderr) => (error ? reject(new Error(stderr)) : resolve()));
  });
  assert.ok(!(await lookAtOrg(dev, '/services')).some((one) => one.name === client), `${client} is still in the org`);
}

module.exports = { breaking, isLive, takenBack };
