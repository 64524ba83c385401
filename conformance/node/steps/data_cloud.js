// Data Cloud, through an authorization whose type makes the SDK speak to it.
'use strict';

const assert = require('node:assert/strict');
const { createHmac } = require('node:crypto');
const { createServer } = require('node:http');

const { HttpResponseError, init, parseDataActionEvent } = require('@heroku/applink');

const CONNECTOR = ['AcmeWeb', 'ClickEvent'];
const PATIENCE = 30_000;

const click = (number) => ({
  eventId: `sdk-${number}`,
  visitor: 'conformance',
  page: `/${number}`,
  action: 'view',
  product: null,
  quantity: number,
  occurredAt: '2026-01-01T00:00:00Z',
});

module.exports = async (steps, stack) => {
  const { getAuthorization } = init().addons.applink;
  const lake = async () => (await getAuthorization(stack.lake)).dataCloudApi;
  const sim = async (where, body) => {
    const response = await fetch(`${stack.dev.org_url}/_sim/data-cloud${where}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'X-Sim-Key': stack.dev.sim_key, 'Content-Type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    assert.ok(response.ok, await response.clone().text());
    return response.json();
  };
  const step = (method, name, run) => steps.step(`DataCloudApi.${method}`, name, run);

  await steps.step('init().addons.applink.getAuthorization', 'of a Data Cloud org', async () => {
    const org = await getAuthorization(stack.lake);
    assert.equal(org.domainUrl, stack.dev.org_url);
    assert.ok(org.accessToken.startsWith('eyJ'), "the tenant's token");
    assert.ok(org.dataCloudApi);
  });
  await step('upsert', 'rows, which are applied later', async () => {
    const data = Array.from({ length: 30 }, (_, number) => click(number));
    assert.deepEqual(await (await lake()).upsert(...CONNECTOR, { data }), { accepted: true });
    await sim('/run', {});
  });
  const rows = "SELECT page__c, quantity__c FROM ClickEvent__dlm WHERE visitor__c = 'conformance' ORDER BY quantity__c";
  await step('query', 'as its type wants it, which wraps the SQL twice', async () => {
    const answer = await (await lake()).query({ sql: rows });
    assert.deepEqual(answer.data.slice(0, 2), [['/0', 0], ['/1', 1]]);
    assert.deepEqual([answer.rowCount, answer.done], [30, true]);
    assert.deepEqual(answer.metadata.page__c, { type: 'VARCHAR', placeInOrder: 0, typeCode: 12 });
    assert.equal(typeof answer.queryId, 'string');
  });
  await step('query', 'with the SQL alone', async () => {
    assert.equal((await (await lake()).query(rows)).rowCount, 30);
  });
  await step('query', 'SQL that is none', async () => {
    const error = await (await lake()).query('nonsense').then(() => assert.fail('it should fail'), (failed) => failed);
    assert.ok(error instanceof HttpResponseError);
    assert.equal(error.response.status, 400);
    assert.match((await error.response.json()).message, /SELECT/);
  });
  await step('queryNextBatch', 'by POST, to the end of a long result', async () => {
    const api = await lake();
    const many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4500) SELECT i FROM n";
    let batch = await api.query(many);
    let count = batch.data.length;
    while (!batch.done) {
      batch = await api.queryNextBatch(batch.nextBatchId);
      count += batch.data.length;
    }
    assert.equal(count, 4500);
    return `${count} rows`;
  });
  await step('queryNextBatch', 'a batch that is none', async () => {
    const error = await (await lake()).queryNextBatch('nobody').then(() => assert.fail('it should fail'), (failed) => failed);
    assert.equal(error.response.status, 404);
  });
  await step('upsert', 'a row the schema does not fit', async () => {
    const wrong = { ...click(0), quantity: 'many' };
    const error = await (await lake()).upsert(...CONNECTOR, { data: [wrong] }).then(() => assert.fail('it should fail'), (failed) => failed);
    assert.equal((await error.response.json()).message, 'data[0].quantity: expected a number');
  });
  await steps.step('parseDataActionEvent', 'what an org sent', async () => {
    await sim('/streams').then((streams) => assert.equal(streams[0].dataModelObject, 'ClickEvent__dlm'));
    const { body, signature, key } = await received(sim, stack);
    assert.equal(signature, createHmac('sha256', key).update(body).digest('base64'), 'signed with the key of its target');
    const parsed = parseDataActionEvent(JSON.parse(body.toString('utf8')));
    assert.equal(parsed.count, 1);
    const [event] = parsed.events;
    assert.deepEqual([event.EventType, event.EventPrompt, event.SourceObjectDeveloperName], ['CDCEvent', 'INSERT', 'ClickEvent__dlm']);
    assert.equal(JSON.parse(event.PayloadCurrentValue).page__c, '/99');
    assert.equal(event.EventSchemaVersion, parsed.schemas[0].schemaId);
    assert.match(event.ReplayId, /^\d+$/);
  });
};

// Sends a new row under a data action to a receiver of our own: the bytes that arrive, with the signature they came with.
async function received(sim, stack) {
  const org = await stack.adminOrg();
  const ssot = (where, body) => org.request(`/services/data/v${org.apiVersion}/ssot${where}`, {
    method: body === undefined ? 'GET' : 'POST', headers: { 'Content-Type': 'application/json' }, body: body && JSON.stringify(body),
  }, true);
  const receiver = await receive();
  try {
    await ssot('/data-action-targets', { apiName: 'Sdk', label: 'SDK', type: 'WebHook', subType: 'Rest',
      config: { targetEndpoint: `${receiver.url}/clicks?apiName=Sdk&orgId=${org.id}` } });
    await sim('/run', {});
    const { signingKey } = await ssot('/data-action-targets/Sdk/signing-key', {});
    await ssot('/data-actions', { developerName: 'SdkClick', dataActionTargetNames: ['Sdk'],
      dataActionSources: [{ sourceName: 'ClickEvent__dlm', sourceCdcSubscriptions: ['INSERT'] }] });
    const { dataCloudApi } = await init().addons.applink.getAuthorization(stack.lake);
    await dataCloudApi.upsert(...CONNECTOR, { data: [click(99)] });
    return { ...(await receiver.arrival), key: signingKey };
  } finally {
    receiver.close();
  }
}

// An HTTP server for one request.
async function receive() {
  const server = createServer();
  const arrival = new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error('nothing was sent')), PATIENCE);
    server.on('request', async (request, response) => {
      const pieces = [];
      for await (const piece of request) {
        pieces.push(piece);
      }
      response.writeHead(204).end();
      clearTimeout(late);
      resolve({ body: Buffer.concat(pieces), signature: request.headers['x-signature'] });
    });
  });
  // Whoever fails before it is waited for fails with their own error.
  arrival.catch(() => {});
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return { url: `http://127.0.0.1:${server.address().port}`, arrival, close };
}
