'use strict';

const assert = require('node:assert');
const { test } = require('node:test');

const { createServer } = require('../app');

const records = [{ fields: { Id: '001A', Name: 'Acme' } }];
const org = { dataApi: { query: async (soql) => (soql.includes('FROM Account') ? { records } : { records: [] }) } };

async function get(orgOf, path) {
  const server = createServer(orgOf);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const answer = await fetch(`http://127.0.0.1:${server.address().port}${path}`);
  const content = await answer.json();
  await new Promise((done) => server.close(done));
  return { status: answer.status, content };
}

test('accounts are those of the calling user', async () => {
  const answer = await get(() => org, '/accounts');
  assert.deepStrictEqual(answer, { status: 200, content: { accounts: [{ id: '001A', name: 'Acme' }] } });
});

test('a path that is none', async () => {
  assert.strictEqual((await get(() => org, '/nothing')).status, 404);
});

test('an org that refuses is no answer', async () => {
  const refused = { dataApi: { query: async () => Promise.reject(new Error('Session expired')) } };
  assert.strictEqual((await get(() => refused, '/accounts')).status, 500);
});
