// Goes through every command of the official AppLink plugin, in the stock Heroku CLI, against a running
// `applink dev --tls`. Who has to log in does so in a real browser.
//
// APPLINK_PLUGIN is the folder of the installed plugin; the rest of the environment is that of node/driver.js.
// `cargo xtask test applink-plugin` starts both where the plugin can be had.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { Steps } = require('../node/steps');
const { asProgram } = require('./browser');
const dataCloud = require('./data_cloud');
const { succeeds, refused, line } = require('./expect');
const { Heroku } = require('./heroku');
const {
  asApp, closedPort, cutting, jwtClient, lookAtOrg, noticedByApp, person, revokeGrant, revokeToken, sandboxOf, until,
} = require('./org');
const { breaking, isLive, takenBack } = require('./publications');

const PLUGIN = process.env.APPLINK_PLUGIN;
const { name, version } = JSON.parse(fs.readFileSync(path.join(PLUGIN, 'package.json'), 'utf8'));
const CALL_OUT = path.join(__dirname, '..', 'call-out');
const SPEC = path.join(CALL_OUT, 'api-spec.yaml');
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;

async function main() {
  const dev = JSON.parse(process.env.APPLINK_DEV);
  const home = path.join(process.env.HOME, 'plugin');
  const heroku = new Heroku(home, dev.tls.env_file);
  const plain = new Heroku(home, dev.env_file);
  await heroku.link(PLUGIN);
  const jwt = await jwtClient(dev, 'plugin');
  const key = path.join(home, 'jwt.key');
  fs.writeFileSync(key, jwt.key);
  const stage = {
    steps: new Steps(name, version),
    dev,
    home,
    heroku,
    plain,
    app: ['-a', dev.app_name],
    jwt: ['--client-id', jwt.clientId, '--jwt-key-file', key],
    at: ['--login-url', dev.org_url],
  };
  for (const part of [connections, connecting, authorizations, publishing, disconnecting, preamble]) {
    await part(stage);
  }
  await dataCloud.run(stage);
  process.exitCode = stage.steps.failed === 0 ? 0 : 1;
}

// `Name: value` lines as an object.
function fields(text) {
  const pairs = text.split('\n').map((row) => /^([A-Z][\w -]*?): +(.*)$/.exec(row)).filter(Boolean);
  return Object.fromEntries(pairs.map(([, field, value]) => [field, value.trim()]));
}

async function connections({ steps, dev, heroku, plain, app }) {
  const list = async (shell) => {
    const { stdout } = await succeeds(shell.run('applink:connections', ...app));
    assert.ok(stdout.includes(`Heroku AppLink connections for add-on ${dev.addon_name} on app ${dev.app_name}`), stdout);
    line(stdout, dev.addon_name, 'acme', 'Connected', 'Salesforce Org');
  };
  await steps.step('applink:connections', 'over TLS', () => list(heroku));
  await steps.step('applink:connections', 'plain', () => list(plain));
  await steps.step('applink:connections:info', 'every field', async () => {
    const { stdout } = await succeeds(heroku.run('applink:connections:info', 'acme', ...app));
    const info = fields(stdout);
    assert.deepEqual(Object.keys(info), ['Connection Type', 'Created By', 'Created Date', 'ID', 'Instance URL',
      'Last Modified', 'Last Modified By', 'Org ID', 'Status']);
    assert.equal(info['Connection Type'], 'Salesforce Org');
    assert.equal(info['Instance URL'], dev.org_url);
    assert.equal(info['Org ID'], dev.org_id);
    assert.equal(info.Status, 'Connected');
    assert.match(info['Created Date'], TIME);
    assert.match(info['Last Modified'], TIME);
  });
  await steps.step('applink:connections:info', 'an unknown name', () =>
    refused(heroku.run('applink:connections:info', 'nobody', ...app), 1, `nobody doesn't exist on app ${dev.app_name}.`));
}

async function connecting({ steps, dev, home, heroku, plain, app, jwt, at }) {
  const connect = (shell, ...words) => shell.pressing('\n', 'salesforce:connect', ...words, ...app);
  const status = async (connection) =>
    fields((await succeeds(heroku.run('applink:connections:info', connection, ...app))).stdout).Status;
  const as = (role, decision) => ({ BROWSER: asProgram(home, person(dev, role, decision)) });
  const step = (what, run) => steps.step('salesforce:connect', what, run);

  await step('through the log-in page in a browser', async () => {
    const { stderr } = await succeeds(connect(heroku.with(as('admin')), 'by-hand'));
    assert.match(stderr, /Opening browser to http:\/\/127\.0\.0\.1/);
    assert.match(stderr, /as by-hand\.\.\. Connected/);
    assert.equal(await status('by_hand'), 'Connected');
  });
  await step('plain, with a login URL', async () => {
    const words = ['by_url', '-l', 'https://login.salesforce.com'];
    const { stderr } = await succeeds(connect(plain.with(as('integration')), ...words));
    assert.match(stderr, /as by_url\.\.\. Connected/);
  });
  await step('a user who denies it', async () => {
    const { stderr } = await succeeds(connect(heroku.with(as('sales', 'deny')), 'denied'));
    assert.match(stderr, /as denied\.\.\. Failed/);
    const { stdout } = await succeeds(heroku.run('applink:connections', ...app));
    line(stdout, 'denied', 'Failed');
    assert.match(stdout, /You have one or more failed connections/);
  });
  await step('again after it failed', async () => {
    const { stderr } = await succeeds(connect(heroku.with(as('admin')), 'denied'));
    assert.match(stderr, /as denied\.\.\. Connected/);
  });
  await step('q: a person who goes away', () =>
    refused(heroku.pressing('q', 'salesforce:connect', 'gone_away', ...app), 1, 'quit'));
  await step('a name that is taken', () => refused(connect(heroku, 'by_hand'), 2, 'by_hand', 'conflict'));
  await step('a name that is none', () => refused(connect(heroku, '1st'), 2, '1st', 'validation_failed'));
  await step('a login URL that is no org', () =>
    refused(connect(heroku, 'elsewhere', '-l', 'https://example.com'), 2, 'example.com', 'validation_failed'));
  await step('an answer that is lost: the request comes again', async () => {
    const between = await cutting(dev.platform_api_url, 'POST /addons/');
    try {
      const shell = plain.with({ ...as('admin'), HEROKU_HOST: `http://127.0.0.1:${between.port}` });
      const { stderr } = await succeeds(connect(shell, 'cut_off'));
      assert.equal(between.cuts(), 1);
      assert.match(stderr, /as cut_off\.\.\. Connected/);
    } finally {
      between.close();
    }
  });

  await steps.step('applink:connections', 'one whose grant the org has revoked, and its log-in anew', async () => {
    const sandbox = sandboxOf(dev);
    const shell = heroku.with({ BROWSER: asProgram(home, person(sandbox, 'admin')) });
    const logIn = () => connect(shell, 'dead_org', '-l', 'https://test.salesforce.com');
    assert.match((await succeeds(logIn())).stderr, /as dead_org\.\.\. Connected/);
    await revokeGrant(sandbox, 'admin');
    const publish = () => heroku.run('salesforce:publish', SPEC, '--client-name', 'PluginDead',
      '--connection-name', 'dead_org', ...app);
    const ended = await until(({ stderr }) => stderr.includes('salesforce:connect dead_org'), publish);
    assert.equal(ended.code, 1, ended.stderr);
    assert.equal(await status('dead_org'), 'Disconnected');
    line((await succeeds(heroku.run('applink:connections', ...app))).stdout, 'dead_org', 'Disconnected');
    const { stderr } = await succeeds(logIn());
    assert.match(stderr, /as dead_org\.\.\. Connected/);
    await succeeds(heroku.run('salesforce:disconnect', 'dead_org', '--confirm', 'dead_org', ...app));
  });

  const signed = (connection, role) =>
    ['salesforce:connect:jwt', connection, ...jwt, '--username', person(dev, role).username, ...at, ...app];
  await steps.step('salesforce:connect:jwt', 'a user with the permission', async () => {
    const { stderr } = await succeeds(heroku.run(...signed('by_jwt', 'admin')));
    assert.match(stderr, /as by_jwt\.\.\. Connected/);
    assert.equal(await status('by_jwt'), 'Connected');
  });
  await steps.step('salesforce:connect:jwt', 'a user the org refuses', async () => {
    await refused(heroku.run(...signed('refused', 'sales')), 2, '', 'authentication_failed');
    await refused(heroku.run('applink:connections:info', 'refused', ...app), 1, "refused doesn't exist");
  });
}

async function authorizations({ steps, dev, home, heroku, plain, app, jwt, at }) {
  const as = (role, decision) => ({ BROWSER: asProgram(home, person(dev, role, decision)) });
  const add = (shell, ...words) => shell.pressing('\n', 'salesforce:authorizations:add', ...words, ...app);
  const step = (command, what, run) => steps.step(`salesforce:authorizations:${command}`, what, run);

  await step('add', 'through the log-in page in a browser', async () => {
    const { stderr } = await succeeds(add(heroku.with(as('integration')), 'auth-user'));
    assert.match(stderr, /auth-user\.\.\. Authorized/);
  });
  await step('add', 'plain, with a login URL', async () => {
    const words = ['auth_url', '-l', 'https://login.salesforce.com'];
    assert.match((await succeeds(add(plain.with(as('integration')), ...words))).stderr, /auth_url\.\.\. Authorized/);
  });
  await step('add', '--url: the link and nothing more', async () => {
    const { stdout } = await succeeds(heroku.run('salesforce:authorizations:add', 'auth_link', '--url', ...app));
    assert.match(JSON.parse(stdout), /^http:\/\/127\.0\.0\.1:\d+\/oauth\/start\/./);
  });
  await step('add', 'a user who denies it', async () => {
    assert.match((await succeeds(add(heroku.with(as('intern', 'deny')), 'denied'))).stderr, /denied\.\.\. Failed/);
    const { stdout } = await succeeds(heroku.run('applink:authorizations', ...app));
    line(stdout, 'denied', 'Failed');
    assert.match(stdout, /You have one or more failed authorizations/);
  });
  await step('add', 'a name that is taken', () => refused(add(heroku, 'auth_user'), 2, 'auth_user', 'conflict'));
  await step('add', 'a name that is none', () => refused(add(heroku, 'a__b'), 2, 'a__b', 'validation_failed'));

  const signed = (user, role, ...more) => ['salesforce:authorizations:jwt:add', user, ...jwt, '--username',
    person(dev, role).username, ...at, ...more, ...app];
  await step('jwt:add', 'with the default alias', async () => {
    const { stderr } = await succeeds(heroku.run(...signed('jwt_user', 'integration')));
    assert.match(stderr, /as jwt_user\.\.\. Authorized/);
    const found = await (await asApp(dev, 'GET', '/authorizations/applink:jwt_user')).json();
    assert.equal(found.org.developer_name, 'jwt_user');
  });
  await step('jwt:add', 'with an alias', async () => {
    await succeeds(heroku.run(...signed('jwt_alias', 'integration', '--alias', 'reports:nightly')));
    const found = await (await asApp(dev, 'GET', '/authorizations/reports:nightly')).json();
    assert.equal(found.org.developer_name, 'jwt_alias');
  });
  await step('jwt:add', 'a user the org refuses', async () => {
    const { stderr } = await refused(heroku.run(...signed('jwt_no', 'sales')), 2, '', 'authentication_failed');
    assert.match(stderr, /jwt_no\.\.\. Failed/);
  });

  await steps.step('applink:authorizations', 'every authorization', async () => {
    const { stdout } = await succeeds(heroku.run('applink:authorizations', ...app));
    assert.ok(stdout.includes(`Heroku AppLink authorizations for app ${dev.app_name}`), stdout);
    line(stdout, dev.addon_name, 'auth-user', 'Authorized', 'Salesforce Org');
  });
  await steps.step('applink:authorizations', 'one whose token the org has revoked', async () => {
    await revokeToken(dev, 'auth_user');
    const { stdout } = await succeeds(heroku.run('applink:authorizations', ...app));
    line(stdout, dev.addon_name, 'auth-user', 'Authorized', 'Salesforce Org');
  });
  await steps.step('applink:authorizations', 'one whose grant the org has revoked, and its log-in anew', async () => {
    const sandbox = sandboxOf(dev);
    const shell = heroku.with({ BROWSER: asProgram(home, person(sandbox, 'integration')) });
    const logIn = () => add(shell, 'auth_dead', '-l', 'https://test.salesforce.com');
    assert.match((await succeeds(logIn())).stderr, /auth_dead\.\.\. Authorized/);
    await revokeGrant(sandbox, 'integration');
    await noticedByApp(dev, 'auth_dead');
    const { stdout } = await succeeds(heroku.run('applink:authorizations', ...app));
    line(stdout, dev.addon_name, 'auth_dead', 'Failed');
    assert.match(stdout, /You have one or more failed authorizations/);
    const info = await succeeds(heroku.run('applink:authorizations:info', 'auth_dead', ...app));
    assert.equal(fields(info.stdout).Status, 'Failed');
    assert.match((await succeeds(logIn())).stderr, /auth_dead\.\.\. Authorized/);
  });
  await steps.step('applink:authorizations:info', 'every field', async () => {
    const { stdout } = await succeeds(heroku.run('applink:authorizations:info', 'auth_user', ...app));
    const info = fields(stdout);
    assert.deepEqual(Object.keys(info), ['Add-on', 'App', 'Created By', 'Created Date', 'ID', 'Instance URL',
      'Last Modified', 'Last Modified By', 'Org ID', 'Status', 'Type', 'Username']);
    assert.equal(info.Username, person(dev, 'integration').username);
    assert.equal(info['Add-on'], dev.addon_name);
    assert.equal(info.Status, 'Authorized');
    assert.match(info['Created Date'], TIME);
  });
  await steps.step('applink:authorizations:info', 'an unknown name', () =>
    refused(heroku.run('applink:authorizations:info', 'nobody', ...app), 1, "Developer Name nobody doesn't exist"));

  const remove = (...words) => ['salesforce:authorizations:remove', ...words, ...app];
  await step('remove', 'confirmed with a flag', async () => {
    await succeeds(heroku.run(...remove('auth_url', '--confirm', 'auth_url')));
    const { stdout } = await succeeds(heroku.run('applink:authorizations:info', 'auth_url', ...app));
    assert.match(fields(stdout).Status, /^Disconnect(ing|ed)$/);
  });
  await step('remove', 'typed', () => succeeds(heroku.pressing('jwt_alias\n', ...remove('jwt_alias'))));
  await step('remove', 'an unknown name', () =>
    refused(heroku.run(...remove('nobody', '--confirm', 'nobody')), 2, 'record not found', 'record_not_found'));
}

async function publishing({ steps, dev, home, heroku, app }) {
  const publish = (spec, client, ...more) =>
    heroku.run('salesforce:publish', spec, '--client-name', client, '--connection-name', 'acme', ...more, ...app);
  const step = (what, run) => steps.step('salesforce:publish', what, run);
  const spec = fs.readFileSync(SPEC, 'utf8');
  const file = (named, text) => {
    const where = path.join(home, named);
    fs.writeFileSync(where, text);
    return where;
  };
  const done = async (running, client) =>
    assert.match((await succeeds(running)).stderr, new RegExp(`as ${client}\\.\\.\\. done`));

  await step('YAML, with a permission set beside it', () =>
    done(publish(SPEC, 'PluginYaml', '--metadata-dir', CALL_OUT), 'PluginYaml'));
  await step('.yml', () => done(publish(file('api-docs.yml', spec), 'PluginYml'), 'PluginYml'));
  await step('JSON', async () => {
    const json = { openapi: '3.0.3', info: { title: 'Hello', version: '1.0.0' }, paths: { '/hello': { get: {
      operationId: 'hello', responses: { 200: { description: 'ok' } } } } } };
    await done(publish(file('api-spec.json', JSON.stringify(json)), 'PluginJson'), 'PluginJson');
  });
  await step('the same again: updated in place', async () => {
    const before = await isLive(dev, 'PluginYml');
    await done(publish(file('api-docs.yml', spec.replace('version: 1.0.0', 'version: 1.0.1')), 'PluginYml'), 'PluginYml');
    assert.equal((await isLive(dev, 'PluginYml')).esr_id, before.esr_id);
  });
  await step('what breaks its callers: published, since it can ask nobody', async () => {
    await done(publish(file('api-breaking.yml', breaking(spec)), 'PluginYml'), 'PluginYml');
    const service = (await lookAtOrg(dev, '/services')).find((one) => one.name === 'PluginYml');
    assert.deepEqual(service.operations.map((operation) => operation.name), ['setUpServices']);
  });
  await step('with names for what is made', () => done(publish(SPEC, 'PluginNames',
    '--authorization-external-client-app-name', 'PluginClientApp',
    '--authorization-permission-set-name', 'PluginPermSet'), 'PluginNames'));
  await step('a document that is none', async () => {
    const { stderr } = await refused(publish(file('broken.yaml', 'openapi: 3.0.3\n'), 'PluginBroken'), 1, 'Error: ');
    assert.match(stderr, /Publishing \S+ to acme as PluginBroken\.\.\. !/);
  });
  await step('a client name that is none', () => refused(publish(SPEC, '1st-client'), 1, '1st-client'));
  await step('an unknown connection', () => refused(heroku.run('salesforce:publish', SPEC, '--client-name', 'X',
    '--connection-name', 'nobody', ...app), 1, 'record not found'));
  await step('a file that is not there', () => refused(publish('nowhere.yaml', 'X'), 1, "doesn't exist"));
  await step('a file of another kind', () => refused(publish(file('spec.txt', ''), 'X'), 1, 'YAML (.yaml/.yml) or JSON'));

  const list = (...words) => heroku.run('salesforce:publications', ...words);
  await steps.step('salesforce:publications', 'of every connection', async () => {
    const { stdout } = await succeeds(list(...app));
    assert.ok(stdout.includes(`Salesforce publications for app ${dev.app_name}`), stdout);
    line(stdout, 'acme', dev.org_id);
  });
  await steps.step('salesforce:publications', 'of one connection', async () => {
    const { stdout } = await succeeds(list('--connection_name', 'by_jwt', ...app));
    assert.match(stdout, /You haven't published/);
  });
  await steps.step('salesforce:publications', 'of an unknown connection', () =>
    refused(list('--connection_name', 'nobody', ...app), 2, 'record not found', 'record_not_found'));
  await steps.step('salesforce:publications', 'without one that `applink unpublish` took back', async () => {
    const rows = async () => (await succeeds(list(...app))).stdout.split('\n').filter((row) => /\bacme\b/.test(row)).length;
    const before = await rows();
    await takenBack(dev, 'PluginYml');
    assert.equal(await rows(), before - 1);
  });
}

async function disconnecting({ steps, dev, heroku, app }) {
  const disconnect = (...words) => ['salesforce:disconnect', ...words, ...app];
  const step = (what, run) => steps.step('salesforce:disconnect', what, run);
  await step('confirmed with a flag', async () => {
    const { stderr } = await succeeds(heroku.run(...disconnect('by_url', '--confirm', 'by_url')));
    assert.match(stderr, /Disconnecting Salesforce connection by_url from \S+\.\.\. Disconnected/);
    const { stdout } = await succeeds(heroku.run('applink:connections:info', 'by_url', ...app));
    assert.match(fields(stdout).Status, /^Disconnect(ing|ed)$/);
  });
  await step('typed', () => succeeds(heroku.pressing('by_jwt\n', ...disconnect('by_jwt'))));
  await step('confirmed with another name', async () => {
    const { code } = await heroku.run(...disconnect('acme', '--confirm', 'other'));
    assert.notEqual(code, 0);
    line((await succeeds(heroku.run('applink:connections', ...app))).stdout, 'acme', 'Connected');
  });
  await step('an unknown name', () =>
    refused(heroku.run(...disconnect('nobody', '--confirm', 'nobody')), 1, `nobody doesn't exist on app ${dev.app_name}`));
  await steps.step('salesforce:publications', 'of a connection that was ended', () =>
    refused(heroku.run('salesforce:publications', '--connection_name', 'by_jwt', ...app), 1, 'There are no active'));
}

// What every command does first.
async function preamble({ steps, dev, heroku, plain, app }) {
  const list = (shell, ...words) => shell.run('applink:connections', ...words);
  const step = (what, run) => steps.step('applink:connections', what, run);
  await step('an app without the add-on', async () => {
    await succeeds(heroku.run('create', 'without-applink'));
    await refused(list(heroku, '-a', 'without-applink'), 1, "AppLink add-on isn't present on without-applink");
  });
  await step('an app with two add-ons', async () => {
    await succeeds(heroku.run('addons:create', 'heroku-applink', '--name', 'plugin-second', '--wait', ...app));
    await refused(list(heroku, ...app), 1, 'has multiple AppLink add-ons');
    const { stdout } = await succeeds(list(heroku, '--addon', 'plugin-second', ...app));
    assert.match(stdout, /There are no Heroku AppLink connections/);
    line((await succeeds(list(heroku, '--addon', dev.addon_name, ...app))).stdout, 'acme', 'Connected');
    await refused(list(heroku, '--addon', 'no-such-addon', ...app), 1, "no-such-addon doesn't exist");
    await refused(heroku.run('salesforce:publications', '--addon', 'plugin-second', ...app), 1,
      'There are no Heroku AppLink connections');
    await succeeds(heroku.run('addons:destroy', 'plugin-second', '--confirm', dev.app_name, ...app));
  });
  await step('an add-on that two apps share', async () => {
    await succeeds(heroku.run('addons:attach', dev.addon_name, '-a', 'without-applink', '--as', 'SHARED'));
    line((await succeeds(list(heroku, '-a', 'without-applink'))).stdout, 'acme', 'Connected');
    await succeeds(heroku.run('addons:detach', 'SHARED', '-a', 'without-applink'));
  });
  await step('an unknown app', () => refused(list(heroku, '-a', 'no-such-app'), 2, "Couldn't find that app."));
  await step('the server is down', async () => {
    const shell = plain.with({ HEROKU_HOST: `http://127.0.0.1:${await closedPort()}` });
    await refused(list(shell, ...app), 1, 'ECONNREFUSED');
    await refused(shell.run('salesforce:connect', 'nobody_home', ...app), 1, 'ECONNREFUSED');
  });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
