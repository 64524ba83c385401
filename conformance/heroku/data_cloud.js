// The plugin's Data Cloud commands: what it sends (`replayed`), and the commands themselves (`run`).
'use strict';

const assert = require('node:assert/strict');

const { asProgram, visit } = require('./browser');
const { line, refused, succeeds } = require('./expect');
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

async function run({ steps, dev, home, heroku, app, jwt, at }) {
  const step = (command, what, work) => steps.step(`datacloud:${command}`, what, work);
  const as = (role, decision) => heroku.with({ BROWSER: asProgram(home, person(dev, role, decision)) });
  // An org keeps five grants of a user for one client, so the admin needs room for one more.
  await succeeds(heroku.run('salesforce:disconnect', 'cut_off', '--confirm', 'cut_off', ...app));
  const pressing = (shell, command, ...words) => shell.pressing('\n', `datacloud:${command}`, ...words, ...app);
  await step('connect', 'through the log-in page in a browser', async () => {
    const { stderr } = await succeeds(pressing(as('admin'), 'connect', 'my_datacloud'));
    assert.match(stderr, /as my_datacloud\.\.\. Connected/);
    line((await succeeds(heroku.run('applink:connections', ...app))).stdout, 'my_datacloud', 'Connected', 'Data Cloud Org');
  });
  await step('connect', 'a user who denies it', async () => {
    const { stderr } = await succeeds(pressing(as('admin', 'deny'), 'connect', 'dc_denied'));
    assert.match(stderr, /as dc_denied\.\.\. Failed/);
  });
  await step('authorizations:add', 'through the log-in page in a browser', async () => {
    const { stderr } = await succeeds(pressing(as('integration'), 'authorizations:add', 'dc-user'));
    assert.match(stderr, /dc-user\.\.\. Authorized/);
    await isTenants(dev, 'dc_user');
  });
  const signed = (user, role) => ['datacloud:authorizations:jwt:add', user, ...jwt, '--username',
    person(dev, role).username, ...at, ...app];
  await step('authorizations:jwt:add', 'with the default alias', async () => {
    const { stderr } = await succeeds(heroku.run(...signed('dc_jwt', 'integration')));
    assert.match(stderr, /as dc_jwt\.\.\. Authorized/);
    await isTenants(dev, 'applink:dc_jwt');
  });
  await step('authorizations:jwt:add', 'a user the org refuses', () =>
    refused(heroku.run(...signed('dc_no', 'sales')), 2, '', 'authentication_failed'));
  await step('authorizations:remove', 'confirmed with a flag', () =>
    succeeds(heroku.run('datacloud:authorizations:remove', 'dc_jwt', '--confirm', 'dc_jwt', ...app)));
  const create = (label, ...words) =>
    heroku.run('datacloud:data-action-target:create', label, '-o', 'my_datacloud', ...words, ...app);
  await step('data-action-target:create', 'a label with spaces', async () => {
    const { stderr } = await succeeds(create('My Target', '-p', '/handleDataCloudDataChangeEvent'));
    assert.match(stderr, /as 'My Target' data action target webhook to my_datacloud\.\.\. Created/);
    const { body } = await listed(dev);
    assert.deepEqual(body.map((target) => [target.api_name, target.status]), [['My_Target', 'created']]);
  });
  await step('data-action-target:create', 'with an API name', () =>
    succeeds(create('Other', '-p', '/other', '-n', 'OtherName')));
  await step('data-action-target:create', 'a path that is none', () =>
    refused(create('Third', '-p', 'nowhere'), 2, 'path', 'validation_failed'));
  const disconnect = (...words) => ['datacloud:disconnect', ...words, ...app];
  await step('disconnect', 'typed', async () => {
    const { stderr } = await succeeds(heroku.pressing('my_datacloud\n', ...disconnect('my_datacloud')));
    assert.match(stderr, /Disconnecting Data Cloud connection my_datacloud from \S+\.\.\. Disconnected/);
  });
  await step('disconnect', 'an unknown name', () =>
    refused(heroku.run(...disconnect('nobody', '--confirm', 'nobody')), 1, `nobody doesn't exist on app ${dev.app_name}`));
}

async function listed(dev) {
  const response = await asApp(dev, 'GET', TARGETS);
  return { body: await response.json() };
}

module.exports = { replayed, run };
