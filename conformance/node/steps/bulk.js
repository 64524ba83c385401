// Bulk API 2.0: what the SDK does by itself, and what it asks of the org.
'use strict';

const assert = require('node:assert/strict');

const { fails } = require('../steps');

const JOBS = [
  'ingest', 'query', 'getInfo', 'abort', 'delete', 'getSuccessfulResults', 'getFailedResults', 'getUnprocessedRecords',
  'getQueryResults', 'getMoreQueryResults',
];

module.exports = async (steps, stack) => {
  const { bulkApi } = await stack.adminOrg();
  await tables(steps, bulkApi);
  await values(steps, bulkApi);
  for (const method of JOBS) {
    steps.notYet(`BulkApi.${method}`, 'the local org has no Bulk API 2.0');
  }
};

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
