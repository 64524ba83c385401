// Records and queries.
'use strict';

const assert = require('node:assert/strict');

const { fails, refused } = require('../steps');

// More than one batch of a query, which is 2,000 records.
const MANY = 2_001;
const AT_ONCE = 200;

module.exports = async (steps, stack) => {
  const org = await stack.adminOrg();
  await queries(steps, org, stack);
  await pages(steps, org);
  await refusedQueries(steps, org, stack);
  await records(steps, org);
  await refusedRecords(steps, org);
  await files(steps, org);
};

async function queries(steps, org, stack) {
  const { dataApi } = org;
  const step = (name, run) => steps.step('DataApi.query', name, run);
  await step('fields, in any case', async () => {
    const result = await dataApi.query("SELECT Id, Name FROM Account WHERE Name = 'Nordwind Energy'");
    assert.equal(result.done, true);
    assert.equal(result.totalSize, 1);
    assert.equal(result.nextRecordsUrl, undefined);
    assert.equal(result.records[0].type, 'Account');
    assert.equal(result.records[0].fields.Name, 'Nordwind Energy');
    assert.equal(result.records[0].fields.NAME, 'Nordwind Energy');
    assert.match(result.records[0].fields.id, /^001[A-Za-z0-9]{15}$/);
  });
  await step('quotes and signs in the query', async () => {
    const result = await dataApi.query("SELECT Name FROM Account WHERE Name = 'O\\'Dwyer Instruments' OR Name = 'A & B+C'");
    assert.deepEqual(result.records.map((record) => record.fields.Name), ["O'Dwyer Instruments"]);
  });
  await step('a parent and a sub-query', async () => {
    const result = await dataApi.query(
      'SELECT Name, Account.Name, (SELECT Product2.Name, Quantity FROM OpportunityLineItems ORDER BY Quantity) ' +
        "FROM Opportunity WHERE Name = 'Nordwind turbine monitoring'",
    );
    const [record] = result.records;
    assert.equal(record.fields.Account.type, 'Account');
    assert.equal(record.fields.Account.fields.Name, 'Nordwind Energy');
    const items = record.subQueryResults.OpportunityLineItems;
    assert.equal(items.done, true);
    assert.equal(items.totalSize, 3);
    assert.equal(items.records.length, 3);
    assert.equal(items.records[0].fields.Product2.fields.Name, 'Gold Support, yearly');
    assert.equal(items.records[2].fields.Quantity, 160);
  });
  await step('COUNT()', async () => {
    const result = await dataApi.query('SELECT COUNT() FROM Campaign');
    assert.equal(result.totalSize, 5);
    assert.deepEqual(result.records, []);
  });
  await step('an aggregate', async () => {
    const result = await dataApi.query(
      "SELECT Status, COUNT(Id) n FROM Campaign WHERE Status = 'Planned' GROUP BY Status");
    assert.equal(result.records[0].type, 'AggregateResult');
    assert.deepEqual({ ...result.records[0].fields }, { status: 'Planned', n: 2 });
  });
  await step('as another user: other rights', async () => {
    const { init } = require('@heroku/applink');
    const integration = await init().addons.applink.getAuthorization(stack.integration);
    const error = await refused(() => integration.dataApi.query('SELECT Id FROM Opportunity'), 'INVALID_TYPE');
    assert.match(error.message, /sObject type 'Opportunity' is not supported\./);
  });
}

async function pages(steps, org) {
  const { dataApi } = org;
  let first;
  await steps.step('DataApi.query', 'the first of two pages', async () => {
    await createMany(org);
    first = await dataApi.query("SELECT Id, Subject FROM Task WHERE Subject LIKE 'Page %' ORDER BY Subject");
    assert.equal(first.done, false);
    assert.equal(first.totalSize, MANY);
    assert.equal(first.records.length, 2_000);
    assert.ok(first.nextRecordsUrl, 'there is a next page');
    return `${first.records.length} of ${first.totalSize} records`;
  });
  await steps.step('DataApi.queryMore', 'the rest', async () => {
    const rest = await dataApi.queryMore(first);
    assert.equal(rest.done, true);
    assert.equal(rest.totalSize, MANY);
    assert.equal(rest.nextRecordsUrl, undefined);
    assert.deepEqual(rest.records.map((record) => record.fields.Subject), [subject(MANY - 1)]);
    return `${rest.records.length} record`;
  });
  await steps.step('DataApi.queryMore', 'nothing more', async () => {
    const result = await dataApi.query('SELECT Id FROM Campaign');
    assert.deepEqual((await dataApi.queryMore(result)).records, []);
  });
  await steps.step('DataApi.queryMore', 'a locator that is none', async () => {
    const next = { nextRecordsUrl: `${org.domainUrl}/services/data/v${org.apiVersion}/query/01gNONE-2000` };
    await refused(() => dataApi.queryMore(next), 'INVALID_QUERY_LOCATOR');
  });
}

const subject = (index) => `Page ${String(index).padStart(5, '0')}`;

async function createMany(org) {
  for (let start = 0; start < MANY; start += AT_ONCE) {
    const length = Math.min(AT_ONCE, MANY - start);
    const records = Array.from({ length }, (_, index) =>
      ({ attributes: { type: 'Task' }, Subject: subject(start + index) }));
    const results = await org.request(`services/data/v${org.apiVersion}/composite/sobjects`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ allOrNone: true, records }),
    });
    assert.ok(results.every((result) => result.success), JSON.stringify(results[0]));
  }
}

async function refusedQueries(steps, org, stack) {
  const { dataApi } = org;
  const step = (name, run) => steps.step('DataApi.query', name, run);
  await step('an unknown column', async () => {
    const error = await refused(() => dataApi.query('SELECT Bacon__c FROM Account LIMIT 2'), 'INVALID_FIELD');
    assert.equal(error.name, 'INVALID_FIELD');
    assert.equal(error.message,
      "\nSELECT Bacon__c FROM Account LIMIT 2\n       ^\nERROR at Row:1:Column:8\nNo such column 'Bacon__c' on entity " +
        "'Account'. If you are attempting to use a custom field, be sure to append the '__c' after the custom field " +
        'name. Please reference your WSDL or the describe call for the appropriate names.');
  });
  await step('a query that is none', async () => {
    const error = await refused(() => dataApi.query('SELEKT Name FROM Account'), 'MALFORMED_QUERY');
    assert.equal(error.message, 'unexpected token: SELEKT');
  });
  await step('a token that is none', async () => {
    const context = {
      requestId: 'r', accessToken: `${org.id}!none`, apiVersion: org.apiVersion, namespace: null,
      orgId: org.id, orgDomainUrl: org.domainUrl, userContext: { userId: org.user.id, username: 'x' },
    };
    const headers = { 'x-client-context': Buffer.from(JSON.stringify(context)).toString('base64') };
    const stranger = require('@heroku/applink').parseRequest(headers, '').context.org;
    const error = await refused(() => stranger.dataApi.query('SELECT Id FROM Account'), 'INVALID_SESSION_ID');
    assert.equal(error.message, 'Session expired or invalid');
  });
  await step('an API version that is none', async () => {
    const context = {
      requestId: 'r', accessToken: org.accessToken, apiVersion: 'iAmABadVersion', namespace: null,
      orgId: org.id, orgDomainUrl: org.domainUrl, userContext: { userId: org.user.id, username: 'x' },
    };
    const headers = { 'x-client-context': Buffer.from(JSON.stringify(context)).toString('base64') };
    const stranger = require('@heroku/applink').parseRequest(headers, '').context.org;
    const error = await refused(() => stranger.dataApi.query('SELECT Id FROM Account'), 'NOT_FOUND');
    assert.equal(error.message, 'The requested resource does not exist');
  });
}

async function records(steps, org) {
  const { dataApi } = org;
  let id;
  await steps.step('DataApi.create', 'a record', async () => {
    ({ id } = await dataApi.create({ type: 'Account', fields: { Name: 'Conformance', NumberOfEmployees: 7 } }));
    assert.match(id, /^001[A-Za-z0-9]{15}$/);
    const { records } = await dataApi.query(`SELECT Name, NumberOfEmployees FROM Account WHERE Id = '${id}'`);
    assert.deepEqual({ ...records[0].fields }, { name: 'Conformance', numberofemployees: 7 });
  });
  for (const key of ['id', 'Id', 'ID', 'iD']) {
    await steps.step('DataApi.update', `a record by its ${key}`, async () => {
      const answer = await dataApi.update({ type: 'Account', fields: { [key]: id, Name: `Conformance ${key}` } });
      assert.equal(answer.id, id);
      const { records } = await dataApi.query(`SELECT Name FROM Account WHERE Id = '${id}'`);
      assert.equal(records[0].fields.Name, `Conformance ${key}`);
    });
  }
  await steps.step('DataApi.delete', 'a record', async () => {
    assert.deepEqual(await dataApi.delete('Account', id), { id });
    assert.equal((await dataApi.query(`SELECT COUNT() FROM Account WHERE Id = '${id}'`)).totalSize, 0);
  });
  await steps.step('DataApi.delete', 'a deleted record', async () => {
    const error = await refused(() => dataApi.delete('Account', id), 'ENTITY_IS_DELETED');
    assert.equal(error.message, 'entity is deleted');
  });
}

async function refusedRecords(steps, org) {
  const { dataApi } = org;
  const create = (type, fields) => () => dataApi.create({ type, fields });
  const refusals = [
    ['an unknown type', create('PlayingCard__c', { Name: 'Ace' }), 'NOT_FOUND', 'The requested resource does not exist'],
    ['an unknown field', create('Account', { Name: 'x', FavoritePet__c: 'Dog' }), 'INVALID_FIELD',
      "No such column 'FavoritePet__c' on sobject of type Account"],
    ['a required field missing', create('Account', { Site: 'x' }), 'REQUIRED_FIELD_MISSING',
      'Required fields are missing: [Name]'],
    ['a value not in the picklist', create('Account', { Name: 'x', Rating: 'Terrible' }),
      'INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST', 'Account Rating: bad value for restricted picklist field: Terrible'],
  ];
  for (const [name, run, code, message] of refusals) {
    await steps.step('DataApi.create', name, async () => {
      const error = await refused(run, code);
      assert.equal(error.message, message);
      assert.ok(Array.isArray(error.data.fields ?? []));
    });
  }
  await steps.step('DataApi.create', 'without a type', () =>
    fails(create(undefined, { Name: 'x' }), 'No SObject Type defined in record').then(() => {}));
  await steps.step('DataApi.update', 'without an id', () =>
    fails(() => dataApi.update({ type: 'Account', fields: { Name: 'x' } }), 'Record id is not found in record.')
      .then(() => {}));
  await steps.step('DataApi.update', "another type's id", async () => {
    const update = () => dataApi.update({ type: 'Account', fields: { id: 'a00B000000FSjVUIB1', Name: 'x' } });
    const error = await refused(update, 'MALFORMED_ID');
    assert.equal(error.message, 'Record ID: id value of incorrect type: a00B000000FSjVUIB1');
  });
}

async function files(steps, org) {
  const { dataApi } = org;
  const text = 'conformance: the SDK keeps only bytes below 0x80';
  const file = (fields, bytes) => ({
    type: 'ContentVersion',
    fields: { Title: 'Conformance', PathOnClient: 'conformance.txt', ...fields },
    binaryFields: { VersionData: Buffer.from(bytes) },
  });
  const read = async (id) => {
    const { records } = await dataApi.query(`SELECT VersionData FROM ContentVersion WHERE Id = '${id}'`);
    return records[0];
  };
  let id;
  await steps.step('DataApi.create', 'a file', async () => {
    ({ id } = await dataApi.create(file({}, text)));
    assert.match(id, /^068[A-Za-z0-9]{15}$/);
  });
  await steps.step('DataApi.query', 'a file: where it is and its bytes', async () => {
    const record = await read(id);
    const path = `/services/data/v${org.apiVersion}/sobjects/ContentVersion/${id}/VersionData`;
    assert.equal(record.fields.VersionData, path);
    assert.equal(record.binaryFields.VersionData.toString(), text);
  });
  await steps.step('DataApi.create', 'a file given twice', () =>
    fails(() => dataApi.create(file({ VersionData: 'YQ==' }, text)),
      'VersionData provided in both fields and binaryFields of ContentVersion, but is only supported in one or the other.')
      .then(() => {}));
}
