// Looking up credentials: every way to name the add-on, every way to name the authorization, every refusal.
'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');

const { init } = require('@heroku/applink');

const { fails } = require('../steps');
const { withEnvironment } = require('../stack');

const URL_NAME = 'HEROKU_APPLINK_API_URL';
const TOKEN_NAME = 'HEROKU_APPLINK_TOKEN';
const METHOD = 'init().addons.applink.getAuthorization';

module.exports = async (steps, stack) => {
  const url = process.env[URL_NAME];
  const token = process.env[TOKEN_NAME];
  await steps.step('init', 'its shape', () => {
    const sdk = init();
    assert.deepEqual(Object.keys(sdk), ['addons', 'dataCloud', 'salesforce']);
    assert.equal(typeof sdk.addons.applink.getAuthorization, 'function');
  });
  const { getAuthorization } = init().addons.applink;
  const step = (name, run) => steps.step(METHOD, name, run);

  await step('by the default attachment', async () => {
    const org = await getAuthorization(stack.integration);
    assert.equal(org.id, stack.dev.org_id);
    assert.equal(org.domainUrl, stack.dev.org_url);
    assert.match(org.apiVersion, /^\d\d\.0$/);
    assert.equal(org.namespace, '');
    assert.equal(org.user.username, stack.username('integration'));
    assert.match(org.user.id, /^005[A-Za-z0-9]{15}$/);
    assert.ok(org.accessToken.startsWith(`${stack.dev.org_id.slice(0, 15)}!`), 'the token begins with the org id');
    assert.equal(org.dataApi.accessToken, org.accessToken);
    assert.equal(org.dataCloudApi, undefined);
    return `${org.user.username} of ${org.id.slice(0, 3)}…`;
  });
  const same = async (name, ...where) => {
    const org = await getAuthorization(name, ...where);
    assert.equal(org.id, stack.dev.org_id);
    return org;
  };
  const blue = { HEROKU_APPLINK_BLUE_API_URL: url, HEROKU_APPLINK_BLUE_TOKEN: token };
  const none = { [URL_NAME]: undefined, [TOKEN_NAME]: undefined };

  await step('by attachment name', () =>
    withEnvironment({ ...none, ...blue }, async () => void (await same(stack.integration, 'HEROKU_APPLINK_BLUE'))));
  await step('by colour', () =>
    withEnvironment({ ...none, ...blue }, async () => void (await same(stack.integration, 'blue'))));
  await step('by API URL', async () => void (await same(stack.integration, url)));
  await step('by API URL in capitals', async () => void (await same(stack.integration, url.toUpperCase())));
  await step('by HEROKU_APPLINK_ADDON_NAME', () =>
    withEnvironment({ ...none, ...blue, HEROKU_APPLINK_ADDON_NAME: 'HEROKU_APPLINK_BLUE' }, async () =>
      void (await same(stack.integration))));
  await step('with a slash at the end of the API URL', () =>
    withEnvironment({ [URL_NAME]: `${url}/` }, async () => void (await same(stack.integration))));
  await step('by alias', async () => {
    const org = await same(stack.adminAlias);
    assert.equal(org.user.username, stack.username('admin'));
  });
  await step('by the default alias', async () => {
    const org = await same(`applink:${stack.integration}`);
    assert.equal(org.user.username, stack.username('integration'));
  });
  await step('a stored user by another name', async () => {
    const org = await same(stack.admin);
    assert.equal(org.user.username, stack.username('admin'));
  });

  await step('an empty name', () => fails(() => getAuthorization(''), 'Developer name not provided').then(() => {}));
  await step('an unknown name', async () =>
    (await fails(() => getAuthorization('nobody'), 'Record not found - record not found')).message);
  await step('an unknown attachment', async () =>
    (await fails(() => getAuthorization('x', 'GREEN'), 'Heroku Applink config not found under attachment or color GREEN'))
      .message);
  await step('an unknown API URL', async () =>
    (await fails(() => getAuthorization('x', 'http://127.0.0.1:1'),
      'Heroku Applink config not found for API URL: http://127.0.0.1:1')).message);
  await step('an API URL without a token', () =>
    withEnvironment({ [TOKEN_NAME]: undefined }, async () =>
      void (await fails(() => getAuthorization('x', url), `Heroku Applink token not found for API URL: ${url}`))));
  await step('without HEROKU_APP_ID', () =>
    withEnvironment({ HEROKU_APP_ID: undefined }, async () =>
      (await fails(() => getAuthorization(stack.integration), 'Heroku Applink app UUID not found')).message));
  await step('a wrong token', () =>
    withEnvironment({ [TOKEN_NAME]: 'wrong' }, async () =>
      (await fails(() => getAuthorization(stack.integration),
        "Unauthorized - Send `Authorization: Bearer` with the add-on's token (its config var ends in _TOKEN) or an API key."))
        .message));
  await step("another app's id", () =>
    withEnvironment({ HEROKU_APP_ID: randomUUID() }, async () =>
      void (await fails(() => getAuthorization(stack.integration),
        `Forbidden - This token belongs to the app \`${stack.dev.app_name}\`, but x-app-uuid names another: ` +
        `set HEROKU_APP_ID to ${stack.dev.app_id}.`))));
  await step('an unknown add-on', () =>
    withEnvironment({ [URL_NAME]: url.replace(stack.dev.addon_id, randomUUID()) }, async () =>
      (await fails(() => getAuthorization(stack.integration), 'Record not found - record not found')).message));
  await step('nobody listens', () =>
    withEnvironment({ [URL_NAME]: 'http://127.0.0.1:9/addons/x' }, async () =>
      (await fails(() => getAuthorization('any'), 'Unable to get connection any: fetch failed')).message));
};
