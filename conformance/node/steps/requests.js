// What an app does with a request from the org, without the org: the header is made here. The genuine one is
// parsed by the call-out app (integrations.js).
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const { init, parseRequest, parseDataActionEvent } = require('@heroku/applink');

const { fails } = require('../steps');

const encoded = (context) => ({ 'x-client-context': Buffer.from(JSON.stringify(context)).toString('base64') });

async function clientContext(stack) {
  const org = await stack.adminOrg();
  return {
    requestId: 'conformance-request',
    accessToken: org.accessToken,
    apiVersion: org.apiVersion,
    namespace: null,
    orgId: org.id,
    orgDomainUrl: org.domainUrl,
    userContext: { userId: org.user.id, username: org.user.username },
  };
}

module.exports = async (steps, stack) => {
  const context = await clientContext(stack);
  await steps.step('parseRequest', 'event, context and a query as the caller', async () => {
    const parsed = parseRequest(encoded(context), { a: 1 });
    assert.deepEqual(parsed.event.data, { a: 1 });
    assert.equal(parsed.event.id, 'conformance-request');
    assert.equal(parsed.event.dataContentType, 'application/json');
    assert.match(parsed.event.time, /^\d{13}$/);
    assert.equal(parsed.context.id, 'conformance-request');
    const { org } = parsed.context;
    assert.equal(org.user.username, stack.username('admin'));
    const result = await org.dataApi.query(`SELECT Username FROM User WHERE Id = '${org.user.id}'`);
    assert.equal(result.records[0].fields.Username, stack.username('admin'));
  });
  await steps.step('parseRequest', 'without headers', () =>
    fails(() => parseRequest(undefined, ''), 'Request headers not provided').then(() => {}));
  await steps.step('parseRequest', 'without the header', () =>
    fails(() => parseRequest({}, ''), 'Required x-client-context header not found').then(() => {}));
  await steps.step('parseRequest', 'without a user', () =>
    fails(() => parseRequest(encoded({ ...context, userContext: undefined }), ''),
      'Required UserContext not found on x-client-context').then(() => {}));
  await steps.step('init().salesforce.parseRequest', 'is the same function', () =>
    assert.equal(init().salesforce.parseRequest, parseRequest));

  const logger = parseRequest(encoded(context), '').logger;
  for (const level of ['error', 'warn', 'info', 'debug', 'trace']) {
    const written = ['error', 'warn', 'info'].includes(level);
    const step = written ? 'writes with the request id' : 'is below the usual level';
    await steps.step(`Logger.${level}`, step, () => logged(logger, level, written));
  }

  const event = { creationDateTime: '2026-01-01T00:00:00Z', count: 0, schemas: [], events: [] };
  await steps.step('parseDataActionEvent', 'hands the event on', () =>
    assert.deepEqual(parseDataActionEvent(event), event));
  await steps.step('init().dataCloud.parseDataActionEvent', 'is the same function', () =>
    assert.equal(init().dataCloud.parseDataActionEvent, parseDataActionEvent));
};

// The SDK logs to a file below the home folder, level info and above unless LOGLEVEL says otherwise.
async function logged(logger, level, expected) {
  const message = `conformance ${level}`;
  logger[level](message);
  const folder = path.join(os.homedir(), '.sf');
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const lines = readLines(folder).filter((line) => line.message === message);
    if (lines.length > 0) {
      assert.ok(expected, 'it should not have been written');
      assert.equal(lines[0].requestId, 'conformance-request');
      return;
    }
    // The levels are written in turn, so by now the one before is there, and this one would be soon.
    if (!expected && attempt > 20) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`${message} is not in ${folder}`);
}

function readLines(folder) {
  if (!fs.existsSync(folder)) return [];
  const files = fs.readdirSync(folder).filter((name) => name.endsWith('.log'));
  const text = files.map((name) => fs.readFileSync(path.join(folder, name), 'utf8')).join('');
  return text.split('\n').filter((line) => line.endsWith('}')).map((line) => JSON.parse(line));
}
