// The plugin's Data Cloud commands: what it sends.
'use strict';

const assert = require('node:assert/strict');

const { visit } = require('./browser');
const { asApp, person } = require('./org');

const TARGETS = '/connections/datacloud/my_datacloud/data_action_targets';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

// `tools`: isError and poll of replay.js.
async function replayed({ steps, dev, signed, run }, { isError, poll }) {
  const step = (command, what, work) => steps.step(`datacloud:${command}`, what, work);
  const connect = async (connection, decision) => {
    const started = await run();
    const answer = await started.applink('POST', '/connections/datacloud', { connection_name: connection });
    assert.deepEqual([answer.status, answer.body.status, answer.body.org.type], [202, 'connecting', 'DataCloudOrg'], answer.text);
    await visit(answer.body.redirect_uri, person(dev, 'admin', decision));
    return poll(started, `/connections/${answer.body.id}`, ['connecting']);
  };
  await step('connect', 'through the log-in page in a browser', async () => {
    const end = await connect('my_datacloud');
    assert.deepEqual([end.status, end.org.id], ['connected', dev.org_id], JSON.stringify(end.error));
    const { body } = await (await run()).applink('GET', '/connections');
    assert.equal(body.find((one) => one.org.connection_name === 'my_datacloud').org.type, 'DataCloudOrg');
  });
  await step('connect', 'a user who denies it', async () =>
    assert.equal((await connect('dc_denied', 'deny')).status, 'failed'));
  await step('authorizations:add', 'through the log-in page in a browser', async () => {
    const started = await run();
    const answer = await started.applink('POST', '/authorizations/datacloud', { developer_name: 'dc-user' });
    assert.deepEqual([answer.status, answer.body.status], [202, 'authorizing'], answer.text);
    await visit(answer.body.redirect_uri, person(dev, 'integration'));
    const end = await poll(started, `/authorizations/${answer.body.id}`, ['authorizing']);
    assert.deepEqual([end.status, end.org.type], ['authorized', 'DataCloudOrg'], JSON.stringify(end.error));
    await isTenants(dev, 'dc_user');
  });
  await step('authorizations:jwt:add', 'with the default alias', async () => {
    const body = signed('integration', { alias: 'applink:dc_jwt', developer_name: 'dc_jwt' });
    const answer = await (await run()).applink('POST', '/authorizations/datacloud/jwt', body);
    assert.deepEqual([answer.status, answer.body.status], [202, 'authorized'], answer.text);
    await isTenants(dev, 'applink:dc_jwt');
  });
  await step('authorizations:jwt:add', 'a user the org refuses: 422, and no row', async () => {
    const body = signed('sales', { alias: 'applink:dc_no', developer_name: 'dc_no' });
    isError(await (await run()).applink('POST', '/authorizations/datacloud/jwt', body), 422, 'authentication_failed');
  });
  await step('authorizations:remove', 'confirmed', async () => {
    const answer = await (await run()).applink('DELETE', '/authorizations/dc_jwt');
    assert.equal(answer.status, 200, answer.text);
    isError(await (await run()).applink('DELETE', '/authorizations/nobody'), 404, 'record_not_found');
  });
  const create = (started, body) => started.applink('POST', TARGETS, body);
  await step('data-action-target:create', 'until it is created', async () => {
    const started = await run();
    const answer = await create(started, {
      api_name: 'My_Target', label: 'My Target', target_endpoint: '/handleDataCloudDataChangeEvent', type: 'webhook',
    });
    assert.equal(answer.status, 202, answer.text);
    assert.match(answer.body.id, UUID);
    assert.equal(answer.body.status, 'pending');
    assert.deepEqual([answer.body.heroku_app.id, answer.body.heroku_app.name], [dev.app_id, dev.app_name]);
    const end = await poll(started, `${TARGETS}/My_Target`, ['pending', 'creating', 'generating_signing_key']);
    assert.deepEqual([end.status, end.target_endpoint], ['created', '/handleDataCloudDataChangeEvent'], JSON.stringify(end.error));
  });
  await step('data-action-target:create', 'a name that is taken, a path that is none, an unknown connection', async () => {
    const started = await run();
    const body = { api_name: 'My_Target', label: 'x', target_endpoint: '/x', type: 'webhook' };
    isError(await create(started, body), 409, 'conflict', 'My_Target');
    isError(await create(started, { ...body, api_name: 'Other', target_endpoint: 'x' }), 422, 'validation_failed');
    isError(await started.applink('POST', TARGETS.replace('my_datacloud', 'nobody'), body), 404, 'record_not_found');
  });
  await step('disconnect', 'its targets are listed, and go with it', async () => {
    const started = await run();
    const { body } = await started.applink('GET', TARGETS);
    assert.deepEqual(body.map((target) => target.label), ['My Target']);
    const answer = await started.applink('DELETE', '/connections/my_datacloud');
    assert.deepEqual([answer.status, answer.body.status], [202, 'disconnecting'], answer.text);
    const end = await poll(started, `/connections/${answer.body.id}`, ['disconnecting']);
    assert.equal(end.status, 'disconnected');
    assert.deepEqual((await started.applink('GET', TARGETS)).body, []);
  });
  await step('disconnect', 'an unknown name', async () => {
    const started = await run();
    const targets = await started.applink('GET', TARGETS.replace('my_datacloud', 'nobody'));
    assert.deepEqual([targets.status, targets.body], [200, []]);
    isError(await started.applink('DELETE', '/connections/nobody'), 404, 'record_not_found');
  });
}

// What an app gets under this name is the tenant's.
async function isTenants(dev, name) {
  const { org } = await (await asApp(dev, 'GET', `/authorizations/${name}`)).json();
  assert.deepEqual([org.type, org.instance_url], ['DataCloudOrg', dev.org_url]);
  assert.ok(org.user_auth.access_token.startsWith('eyJ'));
}

module.exports = { replayed };
