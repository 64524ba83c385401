// Sends what the official AppLink plugin sends, command by command, and checks every field the plugin reads of the
// answers, the errors included. Written from how the plugin was seen to behave; neither it nor the Heroku CLI is needed.
//
// The environment is that of node/driver.js. `cargo xtask test plugin-replay` starts both.
'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const { Steps } = require('../node/steps');
const { visit } = require('./browser');
const dataCloud = require('./data_cloud');
const {
  closedPort, cutting, jwtClient, lookAtOrg, noticedByApp, person, revokeGrant, revokeToken, sandboxOf, until,
} = require('./org');
const { breaking, isLive, takenBack } = require('./publications');
const { Run, VERSION } = require('./requests');

const CALL_OUT = path.join(__dirname, '..', 'call-out');
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
// Microseconds and Z: the Python SDK reads nothing else.
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const PATIENCE = 30_000;

async function main() {
  const dev = JSON.parse(process.env.APPLINK_DEV);
  const steps = new Steps('@heroku-cli/plugin-applink', VERSION);
  const jwt = await jwtClient(dev, 'replay');
  const signed = (user, more) => ({
    client_id: jwt.clientId,
    jwt_private_key: jwt.key,
    login_url: dev.org_url,
    username: person(dev, user).username,
    ...more,
  });
  const run = async (...preamble) => {
    const started = new Run(dev);
    await started.preamble(...preamble);
    return started;
  };
  const stage = { steps, dev, signed, run };
  for (const part of [preamble, connecting, connections, authorizations, publishing, ending, misfortunes]) {
    await part(stage);
  }
  await dataCloud.replayed(stage, { isError, poll });
  process.exitCode = steps.failed === 0 ? 0 : 1;
}

// An error as the CLI prints it, with what the Node SDK reads beside it.
function isError(answer, status, id, mentions = '') {
  assert.equal(answer.status, status, answer.text);
  assert.match(answer.headers['content-type'], /^application\/json/);
  assert.equal(answer.body.id, id);
  assert.ok(answer.body.message.includes(mentions), answer.body.message);
  for (const field of ['message', 'title', 'detail']) {
    assert.equal(typeof answer.body[field], 'string', field);
  }
  assert.equal(answer.body.status, status);
}

function isRow(row, nameField, name) {
  assert.match(row.id, UUID);
  assert.equal(row.org[nameField], name);
  assert.equal(row.org.type, 'SalesforceOrg');
  assert.match(row.created_at, TIME);
  assert.match(row.last_modified_at, TIME);
  assert.match(row.created_by, /@/);
  assert.match(row.last_modified_by, /@/);
}

// The plugin asks every five seconds, by id; here as soon as there may be something new.
async function poll(run, where, pending) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const { status, body, text } = await run.applink('GET', where);
    assert.equal(status, 200, text);
    if (!pending.includes(body.status) || Date.now() > deadline) {
      return body;
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function preamble({ steps, dev, run }) {
  await steps.step('every command', 'app, add-ons, attachments, config vars and sign-on', async () => {
    const { info, addons, attachments, vars, sso } = await new Run(dev).preamble();
    assert.equal(info.id, dev.app_id);
    assert.deepEqual([addons[0].id, addons[0].name], [dev.addon_id, dev.addon_name]);
    assert.equal(addons[0].addon_service.name, 'heroku-applink');
    assert.deepEqual([attachments[0].addon.id, attachments[0].name], [dev.addon_id, 'HEROKU_APPLINK']);
    assert.equal(vars.HEROKU_APPLINK_API_URL, dev.applink_api_url);
    assert.equal(vars.HEROKU_APPLINK_TOKEN, dev.applink_token);
    assert.equal(sso.method, 'post');
    for (const field of ['app', 'email', 'id', 'resource_id', 'resource_token', 'timestamp', 'token', 'user_id']) {
      assert.ok(sso.params[field], field);
    }
    assert.ok(Buffer.from(JSON.stringify(sso)).toString('base64').length < 8 * 1024);
  });
  await steps.step('every command', 'request ids that grow to 7 KiB', async () => {
    const long = await run();
    long.ids = Array.from({ length: 180 }, () => randomUUID());
    const answer = await long.applink('GET', '/connections');
    assert.equal(answer.status, 200);
  });
  await steps.step('every command', 'an unknown app', async () => {
    const answer = await new Run(dev).platform('GET', '/apps/no-such-app');
    assert.deepEqual([answer.status, answer.body.id], [404, 'not_found']);
    assert.equal(typeof answer.body.message, 'string');
  });
  await steps.step('every command', 'a key that is none', async () => {
    const answer = await new Run(dev, undefined, 'alp_wrong').platform('GET', `/apps/${dev.app_name}`);
    assert.deepEqual([answer.status, answer.body.id], [401, 'unauthorized']);
  });
}

async function connecting({ steps, dev, signed, run }) {
  const post = (started, body, more) => started.applink('POST', '/connections/salesforce', body, more);
  const step = (what, work) => steps.step('salesforce:connect', what, work);
  await step('through the log-in page in a browser', async () => {
    const started = await run();
    const answer = await post(started, { connection_name: 'by-hand' });
    assert.equal(answer.status, 202);
    isRow(answer.body, 'connection_name', 'by-hand');
    assert.equal(answer.body.status, 'connecting');
    assert.match(answer.body.redirect_uri, /^http:\/\/127\.0\.0\.1:\d+\/oauth\/start\/./);
    await visit(answer.body.redirect_uri, person(dev, 'admin'));
    const end = await poll(started, `/connections/${answer.body.id}`, ['connecting']);
    assert.equal(end.status, 'connected', JSON.stringify(end.error));
    assert.equal(end.org.id, dev.org_id);
  });
  await step('with a login URL', async () => {
    const started = await run();
    const body = { connection_name: 'by_url', login_url: 'https://login.salesforce.com' };
    const answer = await post(started, body);
    await visit(answer.body.redirect_uri, person(dev, 'admin'));
    assert.equal((await poll(started, `/connections/${answer.body.id}`, ['connecting'])).status, 'connected');
  });
  await step('a user who denies it, and again after it failed', async () => {
    const started = await run();
    const denied = await post(started, { connection_name: 'denied' });
    await visit(denied.body.redirect_uri, person(dev, 'sales', 'deny'));
    const end = await poll(started, `/connections/${denied.body.id}`, ['connecting']);
    assert.equal(end.status, 'failed');
    assert.equal(typeof end.error.message, 'string');
    const again = await post(started, { connection_name: 'denied' });
    assert.deepEqual([again.status, again.body.id, again.body.status], [202, denied.body.id, 'connecting']);
  });
  await step('a name that is taken', async () =>
    isError(await post(await run(), { connection_name: 'by_hand' }), 409, 'conflict', 'by_hand'));
  await step('a name that is none', async () => {
    for (const name of ['1st', 'a__b', 'ab', 'a'.repeat(31), 'ends_', 'a b']) {
      isError(await post(await run(), { connection_name: name }), 422, 'validation_failed');
    }
  });
  await step('a login URL that is no org', async () =>
    isError(await post(await run(), { connection_name: 'elsewhere', login_url: 'https://example.com' }), 422,
      'validation_failed', 'example.com'));
  await step('an answer that is lost: the request comes again', async () => {
    const between = await cutting(dev.platform_api_url, 'POST /addons/');
    try {
      const cut = new Run(dev, `http://127.0.0.1:${between.port}`);
      await cut.preamble();
      await assert.rejects(post(cut, { connection_name: 'cut_off' }));
      const again = await post(cut, { connection_name: 'cut_off' });
      assert.deepEqual([again.status, again.body.status, between.cuts()], [202, 'connecting', 1]);
      const { body } = await cut.applink('GET', '/connections');
      assert.equal(body.filter((one) => one.org.connection_name === 'cut_off').length, 1);
      const once_more = await post(cut, { connection_name: 'cut_off' });
      assert.equal(once_more.body.id, again.body.id);
      assert.notEqual(once_more.body.redirect_uri, again.body.redirect_uri);
      await visit(once_more.body.redirect_uri, person(dev, 'admin'));
      assert.equal((await poll(cut, `/connections/${again.body.id}`, ['connecting'])).status, 'connected');
    } finally {
      between.close();
    }
  });
  await step("without a sign-on: the add-on's token changes nothing", async () => {
    const started = await run();
    delete started.headers['x-addon-sso'];
    isError(await post(started, { connection_name: 'bare' }), 401, 'unauthorized');
  });

  const jwt = (started, body) => started.applink('POST', '/connections/salesforce/jwt', body);
  await steps.step('salesforce:connect:jwt', 'a user with the permission', async () => {
    const body = signed('admin', { alias: randomUUID(), connection_name: 'by_jwt' });
    const answer = await jwt(await run(), body);
    assert.deepEqual([answer.status, answer.body.status], [202, 'connected'], answer.text);
    isRow(answer.body, 'connection_name', 'by_jwt');
  });
  await steps.step('salesforce:connect:jwt', 'a user the org refuses: 422, and no row', async () => {
    const started = await run();
    const body = signed('sales', { alias: randomUUID(), connection_name: 'refused' });
    isError(await jwt(started, body), 422, 'authentication_failed');
    isError(await started.applink('GET', '/connections/refused'), 404, 'record_not_found');
  });
}

async function connections({ steps, dev, run }) {
  await steps.step('applink:connections', 'every connection', async () => {
    const { status, body } = await (await run()).applink('GET', '/connections');
    assert.equal(status, 200);
    const shown = body.map(({ org, status }) => `${org.connection_name} ${org.type} ${status}`);
    for (const row of ['acme', 'by-hand', 'by_url', 'by_jwt'].map((name) => `${name} SalesforceOrg connected`)) {
      assert.ok(shown.includes(row), `${row} is not among ${shown}`);
    }
  });
  await steps.step('applink:connections:info', 'every field, by name, its other spelling and id', async () => {
    const started = await run();
    const { body } = await started.applink('GET', '/connections/by_hand');
    isRow(body, 'connection_name', 'by-hand');
    assert.equal(body.status, 'connected');
    assert.deepEqual([body.org.id, body.org.instance_url], [dev.org_id, dev.org_url]);
    for (const named of ['by-hand', body.id]) {
      assert.deepEqual((await started.applink('GET', `/connections/${named}`)).body, body);
    }
  });
  await steps.step('applink:connections:info', 'an unknown name', async () =>
    isError(await (await run()).applink('GET', '/connections/nobody'), 404, 'record_not_found', 'record not found'));
  await steps.step('applink:connections:info', "another app's id", async () => {
    const started = await run();
    started.headers['x-app-uuid'] = randomUUID();
    const answer = await started.applink('GET', '/connections/acme');
    assert.ok([401, 403, 404].includes(answer.status), answer.text);
    assert.equal(typeof answer.body.message, 'string');
  });
}

async function authorizations({ steps, dev, signed, run }) {
  const post = (started, body) => started.applink('POST', '/authorizations/salesforce', body);
  const step = (command, what, work) => steps.step(`salesforce:authorizations:${command}`, what, work);
  await step('add', 'through the log-in page in a browser', async () => {
    const started = await run();
    const answer = await post(started, { developer_name: 'auth-user' });
    assert.equal(answer.status, 202);
    isRow(answer.body, 'developer_name', 'auth-user');
    assert.equal(answer.body.status, 'authorizing');
    await visit(answer.body.redirect_uri, person(dev, 'integration'));
    const end = await poll(started, `/authorizations/${answer.body.id}`, ['authorizing']);
    assert.equal(end.status, 'authorized', JSON.stringify(end.error));
  });
  await step('add', 'with a login URL: a user who denies it', async () => {
    const started = await run();
    const answer = await post(started, { developer_name: 'denied', login_url: dev.org_url });
    await visit(answer.body.redirect_uri, person(dev, 'intern', 'deny'));
    assert.equal((await poll(started, `/authorizations/${answer.body.id}`, ['authorizing'])).status, 'failed');
  });
  await step('add', 'a name that is taken', async () =>
    isError(await post(await run(), { developer_name: 'auth_user' }), 409, 'conflict', 'auth_user'));
  await step('add', 'a name that is none', async () =>
    isError(await post(await run(), { developer_name: '1st' }), 422, 'validation_failed'));

  const jwt = (started, body) => started.applink('POST', '/authorizations/salesforce/jwt', body);
  await step('jwt:add', 'with the default alias', async () => {
    const started = await run();
    const body = signed('integration', { alias: 'applink:jwt_user', developer_name: 'jwt_user' });
    const answer = await jwt(started, body);
    assert.deepEqual([answer.status, answer.body.status], [202, 'authorized'], answer.text);
    // Unescaped, as the SDKs write it.
    assert.equal((await started.applink('GET', '/authorizations/applink:jwt_user')).body.id, answer.body.id);
  });
  await step('jwt:add', 'with an alias', async () => {
    const body = signed('integration', { alias: 'reports:nightly', developer_name: 'jwt_alias' });
    assert.equal((await jwt(await run(), body)).body.status, 'authorized');
    isError(await jwt(await run(), { ...body, developer_name: 'jwt_other' }), 409, 'conflict', 'jwt_alias');
  });
  await step('jwt:add', 'a user the org refuses: 422, and no row', async () => {
    const started = await run();
    const body = signed('sales', { alias: 'applink:jwt_no', developer_name: 'jwt_no' });
    isError(await jwt(started, body), 422, 'authentication_failed');
    isError(await started.applink('GET', '/authorizations/jwt_no'), 404, 'record_not_found');
  });

  await steps.step('applink:authorizations', 'every authorization', async () => {
    const { body } = await (await run()).applink('GET', '/authorizations');
    const shown = body.map(({ org, status }) => `${org.developer_name} ${org.type} ${status}`);
    for (const row of ['auth-user SalesforceOrg authorized', 'denied SalesforceOrg failed']) {
      assert.ok(shown.includes(row), `${row} is not among ${shown}`);
    }
  });
  await steps.step('applink:authorizations', 'one whose token the org has revoked', async () => {
    await revokeToken(dev, 'auth_user');
    const { body } = await (await run()).applink('GET', '/authorizations/auth_user');
    assert.deepEqual([body.status, body.error], ['authorized', undefined]);
  });
  await steps.step('applink:authorizations', 'one whose grant the org has revoked, and its log-in anew', async () => {
    const started = await run();
    const [sandbox, asked] = [sandboxOf(dev), { developer_name: 'auth_dead', login_url: 'https://test.salesforce.com' }];
    const made = await post(started, asked);
    await visit(made.body.redirect_uri, person(sandbox, 'integration'));
    await poll(started, `/authorizations/${made.body.id}`, ['authorizing']);
    await revokeGrant(sandbox, 'integration');
    await noticedByApp(dev, 'auth_dead');
    const { body } = await started.applink('GET', '/authorizations/auth_dead');
    assert.deepEqual([body.status, body.error.id], ['failed', 'reauth_required'], JSON.stringify(body));
    assert.match(body.error.message, /salesforce:authorizations:add auth_dead/);
    const again = await post(started, asked);
    assert.deepEqual([again.status, again.body.id], [202, made.body.id], again.text);
    await visit(again.body.redirect_uri, person(sandbox, 'integration'));
    assert.equal((await poll(started, `/authorizations/${made.body.id}`, ['authorizing'])).status, 'authorized');
  });
  await steps.step('applink:authorizations:info', 'every field, and never a secret of another mode', async () => {
    const { body } = await (await run()).applink('GET', '/authorizations/auth_user');
    isRow(body, 'developer_name', 'auth-user');
    assert.deepEqual([body.org.id, body.org.instance_url], [dev.org_id, dev.org_url]);
    assert.equal(body.org.username, person(dev, 'integration').username);
    assert.equal(JSON.stringify(body).includes('refresh_token'), false);
  });
  await steps.step('applink:authorizations:info', 'an unknown name', async () =>
    isError(await (await run()).applink('GET', '/authorizations/nobody'), 404, 'record_not_found'));

  await step('remove', 'a user', async () => {
    const started = await run();
    const answer = await started.applink('DELETE', '/authorizations/jwt_alias');
    assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
    const { body } = await started.applink('GET', '/authorizations/jwt_alias');
    assert.match(body.status, /^disconnect(ing|ed)$/);
  });
  await step('remove', 'an unknown name', async () =>
    isError(await (await run()).applink('DELETE', '/authorizations/nobody'), 404, 'record_not_found', 'record not found'));
}

async function publishing({ steps, dev, run }) {
  const spec = fs.readFileSync(path.join(CALL_OUT, 'api-spec.yaml'));
  const permissions = fs.readFileSync(path.join(CALL_OUT, 'permissionset-meta.xml'));
  const step = (what, work) => steps.step('salesforce:publish', what, work);
  const published = (answer) => assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
  await step('YAML, with a permission set beside it', async () => {
    const files = { 'api-spec.yaml': spec, 'permissionset-meta.xml': permissions };
    published(await (await run()).publish('acme', { client_name: 'ReplayYaml' }, files));
  });
  await step('JSON, with names for what is made', async () => {
    const json = { openapi: '3.0.3', info: { title: 'Hello', version: '1.0.0' }, paths: { '/hello': { get: {
      operationId: 'hello', responses: { 200: { description: 'ok' } } } } } };
    published(await (await run()).publish('acme', {
      authorization_external_client_app_name: 'ReplayClientApp',
      authorization_permission_set_name: 'ReplayPermSet',
      client_name: 'ReplayJson',
    }, { 'api-spec.json': JSON.stringify(json) }));
  });
  await step('the same again: updated in place', async () => {
    const before = await isLive(dev, 'ReplayYaml');
    published(await (await run()).publish('acme', { client_name: 'ReplayYaml' }, { 'api-spec.yaml': spec }));
    assert.equal((await isLive(dev, 'ReplayYaml')).esr_id, before.esr_id);
  });
  await step('what breaks its callers: published, since it can ask nobody', async () => {
    const changed = breaking(spec.toString('utf8'));
    published(await (await run()).publish('acme', { client_name: 'ReplayYaml' }, { 'api-spec.yaml': changed }));
    const service = (await lookAtOrg(dev, '/services')).find((one) => one.name === 'ReplayYaml');
    assert.deepEqual(service.operations.map((operation) => operation.name), ['setUpServices']);
  });
  await step('what can\'t be published', async () => {
    const started = await run();
    const refusals = [
      ['a document that is none', 'acme', 'X1', { 'api-spec.yaml': 'openapi: 3.0.3\n' }],
      ['a client name that is none', 'acme', '1st-client', { 'api-spec.yaml': spec }],
      ['no document', 'acme', 'X2', { 'permissionset-meta.xml': permissions }],
    ];
    for (const [why, connection, name, files] of refusals) {
      const answer = await started.publish(connection, { client_name: name }, files);
      assert.ok(answer.status >= 400 && answer.status < 500, `${why}: ${answer.text}`);
      assert.equal(typeof answer.body.message, 'string', why);
    }
  });
  await step('an unknown connection', async () => isError(
    await (await run()).publish('nobody', { client_name: 'X' }, { 'api-spec.yaml': spec }), 404, 'record_not_found'));

  const list = (started, connection, app = dev.app_id) =>
    started.applink('GET', `/connections/salesforce/${connection}/apps/${app}`);
  await steps.step('salesforce:publications', 'every field', async () => {
    const { status, body } = await list(await run(), 'acme');
    assert.equal(status, 200);
    assert.ok(body.length >= 2);
    for (const one of body) {
      assert.deepEqual([one.connection_name, one.org_id], ['acme', dev.org_id]);
      assert.match(one.created_at, TIME);
      assert.match(one.last_modified_at, TIME);
      assert.match(one.created_by, /@/);
      assert.match(one.last_modified_by, /@/);
    }
  });
  await step('through a connection whose grant the org has revoked', async () => {
    const started = await run();
    const sandbox = sandboxOf(dev);
    const asked = { connection_name: 'dead_org', login_url: 'https://test.salesforce.com' };
    const made = await started.applink('POST', '/connections/salesforce', asked);
    await visit(made.body.redirect_uri, person(sandbox, 'admin'));
    await poll(started, `/connections/${made.body.id}`, ['connecting']);
    await revokeGrant(sandbox, 'admin');
    const refused = await until(({ body }) => body.id === 'reauth_required', () =>
      started.publish('dead_org', { client_name: 'ReplayDead' }, { 'api-spec.yaml': spec }));
    isError(refused, 422, 'reauth_required', 'salesforce:connect dead_org');
    const { body } = await started.applink('GET', '/connections/dead_org');
    assert.deepEqual([body.status, body.error.id], ['disconnected', 'reauth_required'], JSON.stringify(body));
    const again = await started.applink('POST', '/connections/salesforce', asked);
    assert.deepEqual([again.status, again.body.id], [202, made.body.id], again.text);
  });
  await steps.step('salesforce:publications', 'without one that `applink unpublish` took back', async () => {
    await takenBack(dev, 'ReplayYaml');
    const { body } = await list(await run(), 'acme');
    assert.ok(!body.some((one) => one.esr_name === 'ReplayYaml'), JSON.stringify(body));
  });
  await steps.step('salesforce:publications', 'of a connection without any', async () =>
    assert.deepEqual((await list(await run(), 'by_jwt')).body, []));
  await steps.step('salesforce:publications', 'of an unknown connection', async () =>
    isError(await list(await run(), 'nobody'), 404, 'record_not_found'));
}

async function ending({ steps, run }) {
  const step = (what, work) => steps.step('salesforce:disconnect', what, work);
  await step('a connection, and its name used again', async () => {
    const started = await run();
    const answer = await started.applink('DELETE', '/connections/by_url');
    assert.ok(answer.status >= 200 && answer.status < 300, answer.text);
    const { body } = await started.applink('GET', '/connections/by_url');
    assert.match(body.status, /^disconnect(ing|ed)$/);
    await poll(started, '/connections/by_url', ['disconnecting']);
    const again = await started.applink('POST', '/connections/salesforce', { connection_name: 'by_url' });
    assert.deepEqual([again.status, again.body.id], [202, body.id]);
  });
  await step('an unknown name', async () =>
    isError(await (await run()).applink('DELETE', '/connections/nobody'), 404, 'record_not_found', 'record not found'));
}

async function misfortunes({ steps, dev, run }) {
  await steps.step('every command', 'the server is down', async () => {
    const down = new Run(dev, `http://127.0.0.1:${await closedPort()}`);
    await assert.rejects(down.preamble(), { code: 'ECONNREFUSED' });
  });
  await steps.step('every command', 'a token that is none', async () => {
    const started = await run();
    started.headers.authorization = 'Bearer nothing';
    isError(await started.applink('GET', '/connections'), 401, 'unauthorized');
  });
  await steps.step('every command', "another add-on's path", async () => {
    const started = await run();
    started.addon = randomUUID();
    const answer = await started.applink('GET', '/connections');
    assert.ok([401, 404].includes(answer.status), answer.text);
  });
  await steps.step('every command', 'a second add-on of the app, by its name', async () => {
    const started = new Run(dev);
    const created = await started.platform('POST', `/apps/${dev.app_name}/addons`,
      { attachment: {}, config: {}, name: 'replay-second', plan: { name: 'heroku-applink' } },
      { 'accept-expansion': 'plan', 'x-heroku-legacy-provider-messages': 'true' });
    assert.ok([201, 202].includes(created.status), created.text);
    const where = `/apps/${dev.app_name}/addons/replay-second`;
    const deadline = Date.now() + PATIENCE;
    while ((await started.platform('GET', where)).body.state !== 'provisioned') {
      assert.ok(Date.now() < deadline, 'the add-on is not provisioned in time');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const second = await run(dev.app_name, 'replay-second');
    assert.deepEqual((await second.applink('GET', '/connections')).body, []);
    assert.equal((await second.applink('GET', '/connections/acme')).status, 404);
    const destroyed = await started.platform('DELETE', `/apps/${dev.app_id}/addons/${created.body.id}`, { force: false });
    assert.match(destroyed.body.state, /^deprovision(ed|ing)$/);
  });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
