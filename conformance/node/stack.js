// The running stack, as the environment describes it:
//
// - HEROKU_APPLINK_API_URL, HEROKU_APPLINK_TOKEN, HEROKU_APP_ID, as every app has them;
// - APPLINK_DEV, the line `applink dev --json` printed;
// - APPLINK_BIN, the applink program;
// - CONFORMANCE_LAKE, a Data Cloud authorization of the org's admin;
// - CONFORMANCE_ADMIN and CONFORMANCE_ADMIN_ALIAS, an authorization of the org's admin and its alias.
'use strict';

const { execFile } = require('node:child_process');
const { promisify } = require('node:util');

const sdk = require('@heroku/applink').init();

function stack(environment) {
  const dev = JSON.parse(environment.APPLINK_DEV);
  const username = (role) => dev.users.find((user) => user.role === role).username;
  return {
    dev,
    username,
    integration: 'influencerPortal',
    admin: environment.CONFORMANCE_ADMIN,
    adminAlias: environment.CONFORMANCE_ADMIN_ALIAS,
    lake: environment.CONFORMANCE_LAKE,
    // The org as its admin, through the SDK.
    adminOrg: () => sdk.addons.applink.getAuthorization(environment.CONFORMANCE_ADMIN),
    // Runs an applink command.
    applink: async (...words) => (await promisify(execFile)(environment.APPLINK_BIN, words)).stdout,
  };
}

// Runs `work` while the environment has these values; undefined removes one.
async function withEnvironment(values, work) {
  const before = Object.keys(values).map((name) => [name, process.env[name]]);
  const set = ([name, value]) => (value === undefined ? delete process.env[name] : (process.env[name] = value));
  Object.entries(values).forEach(set);
  try {
    return await work();
  } finally {
    before.forEach(set);
  }
}

module.exports = { stack, withEnvironment };
