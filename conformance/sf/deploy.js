// Deploys packages that `applink publish --output-dir` wrote with Salesforce's own CLI, into the org of a running
// `applink dev`: log-in, deploy over SOAP and REST, what an org refuses, permission sets.
//
// The environment is that of node/driver.js. `cargo xtask test sf-cli` starts both.
'use strict';

const assert = require('node:assert/strict');
const { createSign } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const { Steps } = require('../node/steps');
const { jwtClient, lookAtOrg, person } = require('../heroku/org');
const { zip } = require('../heroku/requests');
const { Sf, ended, VERSION } = require('./sf');

const SPEC = path.join(__dirname, '..', 'call-out', 'api-spec.yaml');
const ORG = ['--target-org', 'local'];

async function main() {
  const dev = JSON.parse(process.env.APPLINK_DEV);
  const home = path.join(process.env.HOME, 'sf');
  fs.mkdirSync(home, { recursive: true });
  const jwt = await jwtClient(dev, 'sf');
  const stage = { steps: new Steps('@salesforce/cli', VERSION), dev, home, jwt, sf: new Sf(home) };
  for (const part of [loggingIn, deploying, refusing, assigning]) {
    await part(stage);
  }
  process.exitCode = stage.steps.failed === 0 ? 0 : 1;
}

async function succeeds(running) {
  const { code, answer } = await running;
  assert.equal(code, 0, JSON.stringify(answer));
  assert.equal(answer.status, 0, JSON.stringify(answer));
  return answer.result;
}

async function loggingIn({ steps, dev, home, jwt, sf }) {
  const { username } = person(dev, 'admin');
  const at = ['--instance-url', dev.org_url];
  await steps.step('sf org login jwt', 'an admin', async () => {
    const key = path.join(home, 'jwt.key');
    fs.writeFileSync(key, jwt.key, { mode: 0o600 });
    const result = await succeeds(sf.run('org', 'login', 'jwt', '--username', username, '--client-id', jwt.clientId,
      '--jwt-key-file', key, ...at, '--alias', 'local'));
    assert.deepEqual([result.username, result.orgId], [username, dev.org_id]);
  });
  await steps.step('sf org login access-token', 'with a session of the org', async () => {
    const token = await session(dev, jwt, username);
    const result = await succeeds(sf.with({ SF_ACCESS_TOKEN: token })
      .run('org', 'login', 'access-token', ...at, '--no-prompt', '--alias', 'by-token'));
    assert.equal(result.orgId, dev.org_id);
  });
}

// An access token by the JWT bearer flow.
async function session(dev, jwt, username) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = { iss: jwt.clientId, sub: username, aud: dev.org_url, exp: Math.floor(Date.now() / 1000) + 120 };
  const unsigned = `${part({ alg: 'RS256' })}.${part(claims)}`;
  const signature = createSign('RSA-SHA256').update(unsigned).sign(jwt.key, 'base64url');
  const answer = await fetch(`${dev.org_url}/services/oauth2/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      assertion: `${unsigned}.${signature}`,
    }),
  });
  const body = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(body));
  return body.access_token;
}

// Writes the package of `client` and returns its directory.
async function written({ dev, home }, client) {
  const directory = path.join(home, client);
  const words = ['publish', SPEC, '--client-name', client, '--output-dir', directory, '--app-url', dev.mesh_url];
  const { code, stderr } = await ended(process.env.APPLINK_BIN, words, home, process.env);
  assert.equal(code, 0, stderr);
  return directory;
}

const deploy = (sf, directory, ...more) =>
  sf.run('project', 'deploy', 'start', '--metadata-dir', directory, ...ORG, '--wait', '5', ...more);

async function operations(dev, client) {
  const service = (await lookAtOrg(dev, '/services')).find((one) => one.name === client);
  return service?.operations.map((operation) => operation.name);
}

async function deploying(stage) {
  const { steps, dev, sf } = stage;
  const step = (what, run) => steps.step('sf project deploy start --metadata-dir', what, run);
  const wholly = async (running, client) => {
    const result = await succeeds(running);
    assert.equal(result.status, 'Succeeded');
    assert.equal(result.numberComponentErrors, 0);
    const made = result.details.componentSuccesses.map((one) => `${one.componentType} ${one.fullName}`);
    for (const kind of ['ExternalServiceRegistration', 'NamedCredential', 'ExternalCredential', 'PermissionSet']) {
      assert.ok(made.includes(`${kind} ${client}`), `${kind} is not among ${made}`);
    }
    assert.deepEqual(await operations(dev, client), ['provisionServices']);
  };
  await step('over SOAP, as it does by itself', async () =>
    wholly(deploy(sf, await written(stage, 'SfSoap')), 'SfSoap'));
  await step('over REST', async () => {
    const rest = sf.with({ SF_ORG_METADATA_REST_DEPLOY: 'true' });
    await wholly(deploy(rest, await written(stage, 'SfRest')), 'SfRest');
  });
  await step('again: nothing is made twice', async () => {
    const result = await succeeds(deploy(sf, await written(stage, 'SfSoap')));
    assert.ok(result.details.componentSuccesses.every((one) => one.created !== true), JSON.stringify(result.details));
    const named = (await lookAtOrg(dev, '/services')).filter((one) => one.name === 'SfSoap');
    assert.equal(named.length, 1);
  });
  await step('--dry-run: nothing is made', async () => {
    await succeeds(deploy(sf, await written(stage, 'SfNothing'), '--dry-run'));
    assert.equal(await operations(dev, 'SfNothing'), undefined);
  });
}

async function refusing(stage) {
  const { steps, dev, sf } = stage;
  const step = (what, run) => steps.step('sf project deploy start --metadata-dir', what, run);
  await step('a component the org refuses: nothing of the package is left', async () => {
    const directory = await written(stage, 'SfRefused');
    const set = path.join(directory, 'permissionsets', 'SfRefused.permissionset');
    const rights = ['allowCreate', 'allowDelete', 'allowEdit', 'modifyAllRecords', 'viewAllRecords']
      .map((right) => `<${right}>false</${right}>`).join('');
    const object = `<objectPermissions><allowRead>true</allowRead><object>Nothing__c</object>${rights}</objectPermissions>`;
    fs.writeFileSync(set, fs.readFileSync(set, 'utf8').replace('</PermissionSet>', `${object}</PermissionSet>`));
    const { code, answer } = await deploy(sf, directory);
    assert.equal(code, 1, JSON.stringify(answer));
    const failures = answer.result.details.componentFailures;
    assert.match(JSON.stringify(failures), /Nothing__c/);
    assert.equal(await operations(dev, 'SfRefused'), undefined);
  });
  // The CLI puts a directory around what it sends, and an org that is told that the archive is one package looks for
  // package.xml outside of it.
  await step('--single-package, which is for archives', async () => {
    const directory = await written(stage, 'SfSingle');
    const { code, answer } = await deploy(sf, directory, '--single-package');
    assert.equal(code, 1, JSON.stringify(answer));
    assert.match(JSON.stringify(answer), /No package\.xml found/);
    assert.equal(await operations(dev, 'SfSingle'), undefined);
    const archive = path.join(stage.home, 'single.zip');
    fs.writeFileSync(archive, zip(files(directory)));
    await succeeds(deploy(sf, archive, '--single-package'));
    assert.deepEqual(await operations(dev, 'SfSingle'), ['provisionServices']);
  });
}

// Every file below a directory, by its path there.
function files(directory) {
  const names = fs.readdirSync(directory, { recursive: true }).filter((name) =>
    fs.statSync(path.join(directory, name)).isFile());
  return Object.fromEntries(names.map((name) => [name, fs.readFileSync(path.join(directory, name))]));
}

async function assigning({ steps, dev, sf }) {
  const step = (what, run) => steps.step('sf org assign permset', what, run);
  const holders = async () =>
    (await lookAtOrg(dev, '/permission-sets')).find((set) => set.name === 'SfSoap').assigned_to;
  await step('the set of a deployed client, to oneself and to another', async () => {
    const [admin, sales] = ['admin', 'sales'].map((role) => person(dev, role).username);
    await succeeds(sf.run('org', 'assign', 'permset', '--name', 'SfSoap', ...ORG));
    await succeeds(sf.run('org', 'assign', 'permset', '--name', 'SfSoap', ...ORG, '--on-behalf-of', sales));
    assert.deepEqual((await holders()).sort(), [admin, sales].sort());
  });
  await step('one that is not there', async () => {
    const { code, answer } = await sf.run('org', 'assign', 'permset', '--name', 'SfNowhere', ...ORG);
    assert.notEqual(code, 0, JSON.stringify(answer));
    assert.match(JSON.stringify(answer), /SfNowhere|Permission ?set/i);
  });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
