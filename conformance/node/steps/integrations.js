// The app behind the mesh (see app/): page, ingest and call-out, end to end.
'use strict';

const assert = require('node:assert/strict');
const path = require('node:path');

const CALL_OUT = path.join(__dirname, '..', '..', 'call-out');
const SERVICE = 'Conformance';

module.exports = async (steps, stack) => {
  const admin = await stack.adminOrg();
  await page(steps, stack, admin);
  await ingest(steps, stack, admin);
  await callOut(steps, stack, admin);
};

async function page(steps, stack, admin) {
  await steps.step('integration: web page', 'shows every campaign of the org', async () => {
    const html = await (await fetch(stack.dev.app_url)).text();
    const { records } = await admin.dataApi.query('SELECT Name, Status FROM Campaign');
    assert.equal(records.length, 5);
    for (const { fields } of records) {
      assert.ok(html.includes(`<li>${fields.Name} (${fields.Status})</li>`), `${fields.Name} is missing in ${html}`);
    }
  });
}

async function ingest(steps, stack, admin) {
  const products = [
    { productCode: 'CONF-1001', name: 'Sensor Hub', description: 'Hub', family: 'Hardware', price: 799 },
    { productCode: 'CONF-1002', name: 'Camera "Edge"', description: 'Camera', family: 'Hardware', price: 499.5 },
    { productCode: 'CONF-1003', name: 'Toolkit', description: 'Kit', family: 'Services', price: 199 },
  ];
  const send = async (list) => {
    const response = await fetch(`${stack.dev.app_url}/api/products/import`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ products: list }),
    });
    assert.equal(response.status, 200, await response.clone().text());
    const { created, updated, failed } = await response.json();
    return { created, updated, failed };
  };
  const prices = async () => {
    const { records } = await admin.dataApi.query(
      "SELECT Product2.Name, UnitPrice FROM PricebookEntry WHERE ProductCode LIKE 'CONF-100%' ORDER BY ProductCode");
    return records.map(({ fields }) => [fields.Product2.fields.Name, fields.UnitPrice]);
  };
  const step = (name, run) => steps.step('integration: ingest', name, run);
  await step('products that are new', async () => {
    assert.deepEqual(await send(products), { created: 3, updated: 0, failed: 0 });
    assert.deepEqual(await prices(), [['Sensor Hub', 799], ['Camera "Edge"', 499.5], ['Toolkit', 199]]);
  });
  await step('the same with other prices', async () => {
    const cheaper = products.map((product) => ({ ...product, price: product.price - 100 }));
    assert.deepEqual(await send(cheaper), { created: 0, updated: 3, failed: 0 });
    assert.deepEqual(await prices(), [['Sensor Hub', 699], ['Camera "Edge"', 399.5], ['Toolkit', 99]]);
  });
  await step('one that the org refuses', async () => {
    const nameless = { ...products[0], productCode: 'CONF-2000', name: null };
    assert.deepEqual(await send([nameless, products[1]]), { created: 0, updated: 1, failed: 1 });
  });
}

async function callOut(steps, stack, admin) {
  const sales = stack.username('sales');
  const step = (name, run) => steps.step('integration: call-out', name, run);
  await step('published into the org', async () => {
    const options = ['--client-name', SERVICE, '--connection-name', 'acme', '--metadata-dir', CALL_OUT];
    await stack.applink('publish', path.join(CALL_OUT, 'api-spec.yaml'), ...options);
    for (const set of [SERVICE, 'ConformancePermissions']) {
      await stack.applink('org', 'permsets', 'assign', set, '--on-behalf-of', sales);
    }
  });
  await step('invoked with callbacks, as the calling user', async () => {
    const { records } = await admin.dataApi.query('SELECT Id FROM Opportunity');
    const body = { opportunityIds: records.map(({ fields }) => fields.Id) };
    const operation = `${SERVICE}.provisionServices`;
    const output = await stack.applink(
      'invoke', operation, '--as', sales, '--body', JSON.stringify(body), '--wait-callbacks', '2', '--json');
    const [answer, ...callbacks] = documents(output);
    assert.equal(records.length, 8);
    assert.equal(answer.status, 201);
    assert.equal(answer.body.requestId, answer.request_id);
    assert.equal(answer.body.username, sales);
    assert.equal(answer.body.opportunitiesVisible, 4, 'only the own ones');
    assert.equal(answer.body.parametersRead, 4, 'only in user-plus mode');
    assert.deepEqual(callbacks.map((callback) => callback.body.status), ['started', 'completed']);
    for (const callback of callbacks) {
      assert.equal(callback.username, sales);
      assert.equal(callback.session_ok, true);
      assert.equal(callback.body.jobId, answer.body.jobId);
    }
    assert.ok(callbacks[1].body.services.length > 0);
    return `${callbacks[1].body.services.length} services, ${callbacks.length} callbacks`;
  });
  await step('called past the org: refused by the mesh', async () => {
    const response = await fetch(`${stack.dev.mesh_url}/api/provisionServices`, { method: 'POST', body: '{}' });
    assert.equal(response.status, 401);
  });
}

// The CLI prints the answer over several lines and then each callback on one.
function documents(output) {
  const end = output.indexOf('\n}\n') + 3;
  const lines = output.slice(end).split('\n').filter((line) => line !== '');
  return [JSON.parse(output.slice(0, end)), ...lines.map((line) => JSON.parse(line))];
}
