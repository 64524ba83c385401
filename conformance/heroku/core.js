// Goes through the core commands of the stock Heroku CLI that AppLink's users need, against a running
// `applink dev --tls`: once through its proxy, as api.heroku.com, and once plain, with HEROKU_HOST.
//
// The environment is that of node/driver.js. `cargo xtask test heroku-cli` starts both.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');

const { Steps } = require('../node/steps');
const { Heroku, VERSION } = require('./heroku');
const { succeeds, refused, line } = require('./expect');
const { closedPort } = require('./org');

async function main() {
  const dev = JSON.parse(process.env.APPLINK_DEV);
  const steps = new Steps('heroku', VERSION);
  const ways = [['over TLS', 'tls', dev.tls.env_file], ['plain', 'plain', dev.env_file]];
  for (const [name, suffix, envFile] of ways) {
    const home = path.join(process.env.HOME, `heroku-${suffix}`);
    await commands(steps, dev, name, suffix, new Heroku(home, envFile));
  }
  await misfortunes(steps, dev, new Heroku(path.join(process.env.HOME, 'heroku-errors'), dev.env_file));
  process.exitCode = steps.failed === 0 ? 0 : 1;
}

async function commands(steps, dev, way, suffix, heroku) {
  const app = `cli-${suffix}`;
  const second = `applink-second-${suffix}`;
  const step = (command, run) => steps.step(command, way, run);
  const json = async (...words) => JSON.parse((await succeeds(heroku.run(...words))).stdout);

  await step('auth:whoami', async () => {
    assert.match((await succeeds(heroku.run('auth:whoami'))).stdout, /^\S+@\S+\n$/);
  });
  await step('create', async () => {
    const { stderr } = await succeeds(heroku.run('create', app));
    assert.match(stderr, new RegExp(`Creating ${app}... done`));
    const made = await json('create', `${app}-2`, '--json');
    assert.equal(made.name, `${app}-2`);
    assert.match(made.id, /^[0-9a-f-]{36}$/);
  });
  await step('apps', async () => {
    const { stdout } = await succeeds(heroku.run('apps'));
    line(stdout, app);
    line(stdout, dev.app_name);
  });
  await step('apps:info', async () => {
    const { stdout } = await succeeds(heroku.run('apps:info', '-a', dev.app_name));
    line(stdout, 'Addons:', 'heroku-applink');
    line(stdout, 'Owner:', 'developer@localhost');
    line(stdout, 'Web URL:', dev.mesh_url);
    const info = await json('apps:info', '-a', dev.app_name, '--json');
    assert.equal(info.app.id, dev.app_id);
    assert.equal(info.addons[0].name, dev.addon_name);
    assert.equal(info.app.owner.email, 'developer@localhost');
  });
  await step('addons:create', async () => {
    const created = await succeeds(heroku.run('addons:create', 'heroku-applink', '-a', app, '--wait'));
    assert.match(created.stdout + created.stderr, /Created \S+ as HEROKU_APPLINK_API_URL, HEROKU_APPLINK_TOKEN/);
    const words = ['addons:create', 'heroku-applink', '-a', app, '--as', 'SECOND', '--name', second];
    const later = await succeeds(heroku.run(...words));
    assert.match(later.stdout + later.stderr, new RegExp(`${second} is being created in the background`));
  });
  await step('addons:wait', async () => {
    await succeeds(heroku.run('addons:wait', second, '-a', app));
  });
  await step('addons', async () => {
    const { stdout } = await succeeds(heroku.run('addons', '-a', app));
    line(stdout, `heroku-applink (${second})`, 'created');
    line(stdout, 'as SECOND');
    line(stdout, 'as HEROKU_APPLINK');
    const addons = await json('addons', '-a', app, '--json');
    assert.equal(addons.length, 2);
    assert.deepEqual(addons.map((addon) => addon.state), ['provisioned', 'provisioned']);
  });
  await step('addons:info', async () => {
    const { stdout } = await succeeds(heroku.run('addons:info', second));
    line(stdout, 'Owning app:', app);
    line(stdout, 'Attachments:', `${app}::SECOND`);
    line(stdout, 'State:', 'created');
  });
  await step('addons:open', async () => {
    const { stdout } = await succeeds(heroku.run('addons:open', second, '-a', app, '--show-url'));
    const link = new URL(stdout.trim());
    const shown = await fetch(link);
    assert.equal(shown.status, 200);
    assert.ok((await shown.text()).includes(second), 'the page names the add-on');
    const ticket = link.pathname.split('/').pop();
    const open = () =>
      fetch(new URL('/sso/open', link), { method: 'POST', redirect: 'manual', body: new URLSearchParams({ ticket }) });
    const entered = await open();
    assert.equal(entered.status, 303);
    const cookie = entered.headers.getSetCookie()[0].split(';')[0];
    const dashboard = await fetch(new URL(entered.headers.get('location'), link), { headers: { cookie } });
    assert.equal(dashboard.status, 200);
    assert.ok((await dashboard.text()).includes(second), 'and so does what it opens');
    assert.equal((await open()).status, 403, 'it works once');
  });
  await step('addons:attach', async () => {
    const words = ['addons:attach', second, '-a', `${app}-2`, '--as', 'ATTACHED_APPLINK'];
    const { stderr } = await succeeds(heroku.run(...words));
    assert.match(stderr, /Attaching \S+ as ATTACHED_APPLINK to \S+... done/);
    assert.match(stderr, /Setting ATTACHED_APPLINK config vars and restarting \S+... done, v2/);
  });
  await configVars(step, dev, heroku, app);
  await step('addons:detach', async () => {
    const { stderr } = await succeeds(heroku.run('addons:detach', 'ATTACHED_APPLINK', '-a', `${app}-2`));
    assert.match(stderr, /Detaching ATTACHED_APPLINK to \S+ from \S+... done/);
  });
  await step('addons:destroy', async () => {
    const { stderr } = await succeeds(heroku.run('addons:destroy', second, '-a', app, '--confirm', app));
    assert.match(stderr, new RegExp(`Destroying ${second} on ${app}... done`));
    assert.equal((await json('addons', '-a', app, '--json')).length, 1);
  });
}

async function configVars(step, dev, heroku, app) {
  const json = async (...words) => JSON.parse((await succeeds(heroku.run(...words))).stdout);

  await step('config', async () => {
    const shared = await json('config', '-a', `${app}-2`, '--json');
    const own = await json('config', '-a', app, '--json');
    assert.equal(shared.ATTACHED_APPLINK_API_URL, own.SECOND_API_URL, 'one add-on');
    assert.notEqual(shared.ATTACHED_APPLINK_TOKEN, own.SECOND_TOKEN, 'a token for each attachment');
    const { stdout } = await succeeds(heroku.run('config', '-a', dev.app_name));
    line(stdout, 'HEROKU_APPLINK_API_URL:', dev.applink_api_url);
    line(stdout, 'HEROKU_APPLINK_TOKEN:', dev.applink_token);
  });
  await step('config:set', async () => {
    const { stdout } = await succeeds(heroku.run('config:set', 'HEROKU_APP_ID=some-id', 'PORTAL=a b', '-a', app));
    line(stdout, 'HEROKU_APP_ID:', 'some-id');
    line(stdout, 'PORTAL:', 'a b');
    await refused(heroku.run('config:set', 'HEROKU_SLUG=x', '-a', app), 2, 'HEROKU_SLUG can\'t be set', 'invalid_params');
  });
  await step('config:get', async () => {
    const { stdout } = await succeeds(heroku.run('config:get', 'HEROKU_APP_ID', '-a', app));
    assert.equal(stdout, 'some-id\n');
  });
  await step('config:unset', async () => {
    await succeeds(heroku.run('config:unset', 'PORTAL', '-a', app));
    assert.equal((await succeeds(heroku.run('config:get', 'PORTAL', '-a', app))).stdout, '\n');
  });
  await step('releases', async () => {
    const { stdout } = await succeeds(heroku.run('releases', '-a', app));
    line(stdout, 'v1', 'Initial release');
    line(stdout, 'Set HEROKU_APP_ID, PORTAL config vars');
  });
}

async function misfortunes(steps, dev, heroku) {
  await steps.step('apps:info', 'an app that does not exist', () =>
    refused(heroku.run('apps:info', '-a', 'no-such-app'), 2, "Couldn't find that app.", 'not_found'));
  await steps.step('addons:create', 'an add-on there is none of', () =>
    refused(heroku.run('addons:create', 'heroku-postgresql', '-a', dev.app_name), 2, 'heroku-postgresql', 'not_found'));
  await steps.step('auth:whoami', 'a key that is none', async () => {
    const { code, stderr } = await heroku.with({ HEROKU_API_KEY: 'alp_wrong' }).run('auth:whoami');
    assert.notEqual(code, 0);
    assert.match(stderr, /Invalid credentials provided/);
  });
  await steps.step('apps:info', 'the server is down', async () => {
    const { code, stderr } = await heroku.with({ HEROKU_HOST: `http://127.0.0.1:${await closedPort()}` })
      .run('apps:info', '-a', dev.app_name);
    assert.notEqual(code, 0);
    assert.match(stderr, /ECONNREFUSED/);
  });
  await steps.step('apps:info', 'a host the proxy does not lead', async () => {
    const tls = new Heroku(heroku.home, dev.tls.env_file, { HEROKU_HOST: 'other.herokudev.com' });
    const { code, stdout } = await tls.run('apps:info', '-a', dev.app_name);
    assert.notEqual(code, 0);
    assert.equal(stdout, '');
  });
  await steps.step('apps:info', 'an authority that is not trusted', async () => {
    const nobody = path.join(heroku.home, 'nobody.pem');
    fs.writeFileSync(nobody, '');
    const tls = new Heroku(heroku.home, dev.tls.env_file, { NODE_EXTRA_CA_CERTS: nobody, SSL_CERT_FILE: nobody });
    const { code, stderr } = await tls.run('apps:info', '-a', dev.app_name);
    assert.notEqual(code, 0);
    assert.match(stderr, /certificate/);
  });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
