// Bulk API 2.0: what the SDK does by itself, and what it asks of the org.
'use strict';

const assert = require('node:assert/strict');

const { fails, refused } = require('../steps');

// How long a job may take on a slow machine, in milliseconds.
const PATIENCE = 60_000;

module.exports = async (steps, stack) => {
  const org = await stack.adminOrg();
  await tables(steps, org.bulkApi);
  await values(steps, org.bulkApi);
  await ingest(steps, org);
  await query(steps, org);
};

async function finished(bulkApi, job) {
  for (const start = Date.now(); Date.now() - start < PATIENCE; ) {
    const info = await bulkApi.getInfo(job);
    if (['JobComplete', 'Failed', 'Aborted'].includes(info.state)) return info;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`job ${job.id} does not end`);
}

const column = (table, name) => table.map((row) => row.get(name));

async function ingest(steps, org) {
  const { bulkApi, dataApi } = org;
  let job;
  await steps.step('BulkApi.ingest', 'insert', async () => {
    const dataTable = bulkApi
      .createDataTableBuilder(['Name', 'Site', 'Rating'])
      .addRow(['Bulk "1", é', 'line 1\nline 2', 'Hot'])
      .addRow(['Bulk 2', bulkApi.formatNullValue(), 'Cold'])
      .addRow(['Bulk 3', '', 'Terrible'])
      .build();
    const jobs = await bulkApi.ingest({ object: 'Account', operation: 'insert', dataTable });
    assert.equal(jobs.length, 1);
    [job] = jobs;
    assert.equal(job.type, 'ingestJob');
    assert.match(job.id, /^750[A-Za-z0-9]{15}$/);
  });
  await steps.step('BulkApi.getInfo', 'an ingest job, until it is done', async () => {
    const info = await finished(bulkApi, job);
    assert.equal(info.state, 'JobComplete');
    assert.equal(info.jobType, 'V2Ingest');
    assert.equal(info.operation, 'insert');
    assert.equal(info.object, 'Account');
    assert.equal(String(info.apiVersion), String(Number(org.apiVersion)));
    assert.equal(info.numberRecordsProcessed, 3);
    assert.equal(info.numberRecordsFailed, 1);
    assert.equal(info.createdById, org.user.id);
  });
  await steps.step('BulkApi.getSuccessfulResults', 'what was written', async () => {
    const table = await bulkApi.getSuccessfulResults(job);
    assert.deepEqual(table.columns, ['sf__Id', 'sf__Created', 'Name', 'Site', 'Rating']);
    assert.deepEqual(column(table, 'Name'), ['Bulk "1", é', 'Bulk 2']);
    assert.deepEqual(column(table, 'sf__Created'), ['true', 'true']);
    const { records } = await dataApi.query(`SELECT Site FROM Account WHERE Id = '${table[0].get('sf__Id')}'`);
    assert.equal(records[0].fields.Site, 'line 1\nline 2');
  });
  await steps.step('BulkApi.getFailedResults', 'what was refused, and why', async () => {
    const table = await bulkApi.getFailedResults(job);
    assert.deepEqual(column(table, 'Name'), ['Bulk 3']);
    assert.match(table[0].get('sf__Error'), /^INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST:/);
    return table[0].get('sf__Error');
  });
  await steps.step('BulkApi.getUnprocessedRecords', 'none', async () => {
    const table = await bulkApi.getUnprocessedRecords(job);
    assert.deepEqual(table.columns, ['Name', 'Site', 'Rating']);
    assert.equal(table.length, 0);
  });
  await upsert(steps, org);
  await steps.step('BulkApi.ingest', 'an unknown object', async () => {
    const dataTable = bulkApi.createDataTableBuilder(['Name']).addRow(['x']).build();
    const [failure] = await bulkApi.ingest({ object: 'PlayingCard__c', operation: 'insert', dataTable });
    assert.equal(failure.unprocessedRecords.length, 1);
    assert.equal(failure.jobReference, undefined);
    assert.equal(failure.error.errorCode, 'INVALIDJOB', failure.error.message);
    assert.equal(failure.error.message, 'Unable to find object: PlayingCard__c');
  });
  await ends(steps, org, job, 'an ingest job');
  await steps.step('BulkApi.abort', 'an open ingest job', async () => {
    const { id } = await org.request(`services/data/v${org.apiVersion}/jobs/ingest`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ object: 'Account', operation: 'insert' }),
    });
    await bulkApi.abort({ id, type: 'ingestJob' });
    assert.equal((await bulkApi.getInfo({ id, type: 'ingestJob' })).state, 'Aborted');
  });
}

async function upsert(steps, org) {
  const { bulkApi } = org;
  for (const [created, name] of [['true', 'Bulk made'], ['false', 'Bulk changed']]) {
    await steps.step('BulkApi.ingest', `upsert: created is ${created}`, async () => {
      const dataTable = bulkApi.createDataTableBuilder(['ProductCode', 'Name']).addRow(['BULK-1', name]).build();
      const options = { object: 'Product2', operation: 'upsert', externalIdFieldName: 'ProductCode', dataTable };
      const [job] = await bulkApi.ingest(options);
      assert.equal((await finished(bulkApi, job)).state, 'JobComplete');
      assert.deepEqual(column(await bulkApi.getSuccessfulResults(job), 'sf__Created'), [created]);
    });
  }
}

async function query(steps, org) {
  const { bulkApi } = org;
  const SOQL = 'SELECT Name, Status FROM Campaign ORDER BY Name';
  let job;
  let page;
  await steps.step('BulkApi.query', 'a query', async () => {
    job = await bulkApi.query({ soql: SOQL });
    assert.equal(job.type, 'queryJob');
    const info = await finished(bulkApi, job);
    assert.equal(info.state, 'JobComplete');
    assert.equal(info.jobType, 'V2Query');
    assert.equal(info.numberRecordsProcessed, 5);
  });
  await steps.step('BulkApi.query', 'with deleted records', async () => {
    const all = await bulkApi.query({ soql: SOQL, operation: 'queryAll' });
    assert.equal((await finished(bulkApi, all)).operation, 'queryAll');
  });
  await steps.step('BulkApi.query', 'a query that is none', () =>
    refused(() => bulkApi.query({ soql: 'SELEKT Name FROM Campaign' }), 'MALFORMED_QUERY').then(() => {}));
  await steps.step('BulkApi.getQueryResults', 'all at once', async () => {
    const results = await bulkApi.getQueryResults(job);
    assert.equal(results.done, true);
    assert.equal(results.locator, undefined);
    assert.equal(results.numberOfRecords, 5);
    assert.deepEqual(results.dataTable.columns, ['Name', 'Status']);
    assert.deepEqual(column(results.dataTable, 'Name'), column(results.dataTable, 'Name').sort());
  });
  await steps.step('BulkApi.getQueryResults', 'the first page', async () => {
    page = await bulkApi.getQueryResults(job, { maxRecords: 3 });
    assert.equal(page.done, false);
    assert.equal(page.numberOfRecords, 3);
    assert.ok(page.locator);
  });
  await steps.step('BulkApi.getMoreQueryResults', 'the rest', async () => {
    const rest = await bulkApi.getMoreQueryResults(page, { maxRecords: 3 });
    assert.equal(rest.done, true);
    assert.equal(rest.numberOfRecords, 2);
    assert.equal(rest.dataTable.length, 2);
  });
  await ends(steps, org, job, 'a query job');
}

async function ends(steps, { bulkApi }, job, kind) {
  await steps.step('BulkApi.abort', `${kind} that is done`, async () => {
    const error = await refused(() => bulkApi.abort(job), 'INVALIDJOBSTATE');
    assert.equal(error.message, 'Aborting already Completed Job not allowed');
  });
  await steps.step('BulkApi.delete', kind, async () => {
    await bulkApi.delete(job);
    await refused(() => bulkApi.getInfo(job), 'NOT_FOUND');
  });
}

async function tables(steps, bulkApi) {
  const builder = () => bulkApi.createDataTableBuilder(['Name', 'Site']);
  const extracted = (value, column) => value[column.toLowerCase()];
  const cells = (table) => table.map((row) => [row.get('Name'), row.get('Site')]);
  await steps.step('BulkApi.createDataTableBuilder', 'with its columns', () =>
    assert.deepEqual(builder().build().columns, ['Name', 'Site']));
  await steps.step('DataTableBuilder.addRow', 'an array, a map, an object', () => {
    const table = builder()
      .addRow(['a', '1'])
      .addRow(new Map([['Name', 'b'], ['Site', '2']]))
      .addRow({ name: 'c', site: '3' }, extracted)
      .build();
    assert.deepEqual(cells(table), [['a', '1'], ['b', '2'], ['c', '3']]);
  });
  await steps.step('DataTableBuilder.addRows', 'arrays, objects', () => {
    const table = builder().addRows([['a', '1'], ['b', '2']]).addRows([{ name: 'c', site: '3' }], extracted).build();
    assert.deepEqual(cells(table), [['a', '1'], ['b', '2'], ['c', '3']]);
  });
  await steps.step('DataTableBuilder.build', 'an empty table', () => assert.equal(builder().build().length, 0));
  await steps.step('BulkApi.splitDataTable', 'a small table stays whole', () => {
    const table = builder().addRow(['a', '1']).build();
    assert.deepEqual(bulkApi.splitDataTable(table).map((part) => part.length), [1]);
  });
}

async function values(steps, bulkApi) {
  const moment = new Date('2025-01-02T03:04:05.006Z');
  await steps.step('BulkApi.formatDate', 'a day', () => assert.equal(bulkApi.formatDate(moment), '2025-01-02'));
  await steps.step('BulkApi.formatDate', 'a date that is none', () =>
    fails(() => bulkApi.formatDate(new Date('none')), 'Invalid Date').then(() => {}));
  await steps.step('BulkApi.formatDateTime', 'a moment', () =>
    assert.equal(bulkApi.formatDateTime(moment), '2025-01-02T03:04:05.006Z'));
  await steps.step('BulkApi.formatNullValue', 'null', () => assert.equal(bulkApi.formatNullValue(), '#N/A'));
}
