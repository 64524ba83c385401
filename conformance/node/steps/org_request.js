// Any other resource of the org, with the user's token.
'use strict';

const assert = require('node:assert/strict');

const { HttpResponseError } = require('@heroku/applink');

const { fails } = require('../steps');

module.exports = async (steps, stack) => {
  const org = await stack.adminOrg();
  const base = `services/data/v${org.apiVersion}`;
  const json = (method, body) =>
    ({ method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
  const step = (name, run) => steps.step('Org.request', name, run);

  await step('a path', async () => {
    const limits = await org.request(`${base}/limits`);
    assert.equal(typeof limits.DailyApiRequests.Max, 'number');
  });
  await step('a full URL', async () => {
    const user = await org.request(`${org.domainUrl}/${base}/sobjects/User/${org.user.id}`);
    assert.equal(user.Username, org.user.username);
  });
  await step('a path with a slash before it', async () => {
    const limits = await org.request(`/${base}/limits`);
    assert.equal(typeof limits.DailyApiRequests.Max, 'number');
  });
  await step('the raw answer', async () => {
    const response = await org.request(`${base}/limits`, {}, false);
    assert.equal(response.status, 200);
    assert.match(response.headers.get('sforce-limit-info'), /^api-usage=\d+\/\d+$/);
  });
  await step('a composite upsert: created, then updated', async () => {
    const upsert = (name) => org.request(`${base}/composite`, json('POST', {
      allOrNone: false,
      compositeRequest: [
        { method: 'PATCH', url: `/${base}/sobjects/Product2/ProductCode/CONF-1`, referenceId: 'one', body: { Name: name } },
        { method: 'GET', url: `/${base}/sobjects/Product2/@{one.id}?fields=Name,ProductCode`, referenceId: 'two' },
      ],
    }));
    const created = (await upsert('Made')).compositeResponse;
    assert.equal(created[0].httpStatusCode, 201);
    assert.equal(created[0].body.created, true);
    assert.equal(created[1].body.Name, 'Made');
    assert.equal(created[1].body.ProductCode, 'CONF-1');
    const changed = (await upsert('Changed')).compositeResponse;
    assert.equal(changed[0].httpStatusCode, 200);
    assert.equal(changed[0].body.created, false);
    assert.equal(changed[1].body.Name, 'Changed');
  });
  await step('a composite with one refused request', async () => {
    const { compositeResponse } = await org.request(`${base}/composite`, json('POST', {
      allOrNone: false,
      compositeRequest: [
        { method: 'PATCH', url: `/${base}/sobjects/Product2/ProductCode/CONF-2`, referenceId: 'one', body: {} },
        { method: 'GET', url: `/${base}/limits`, referenceId: 'two' },
      ],
    }));
    assert.deepEqual(compositeResponse[0].body,
      [{ message: 'Required fields are missing: [Name]', errorCode: 'REQUIRED_FIELD_MISSING', fields: ['Name'] }]);
    assert.deepEqual(compositeResponse.map((answer) => answer.httpStatusCode), [400, 200]);
  });
  await step('headers of the app\'s own', async () => {
    const result = await org.request(`${base}/query?q=${encodeURIComponent("SELECT Id FROM Task WHERE Subject LIKE 'Page %'")}`,
      { headers: { 'Sforce-Query-Options': 'batchSize=200' } });
    assert.equal(result.records.length, 200);
    assert.equal(result.done, false);
  });
  await steps.step('HttpResponseError', 'what a refusal throws', async () => {
    const error = await fails(() => org.request(`${base}/nothing`), 'HTTP Error Response: 404: Not Found');
    assert.ok(error instanceof HttpResponseError);
    assert.equal(error.response.status, 404);
    assert.deepEqual(await error.response.json(),
      [{ errorCode: 'NOT_FOUND', message: 'The requested resource does not exist' }]);
    return error.message;
  });
};
