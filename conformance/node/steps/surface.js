// Compares what was exercised with what the SDK declares, so that nothing is forgotten when a new version brings more.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');

const INTERFACES = ['Org', 'ReferenceId', 'UnitOfWork', 'DataApi', 'Logger', 'BulkApi', 'DataTableBuilder', 'DataCloudApi'];

module.exports = async (steps) => {
  await steps.step('the whole SDK', 'every export and every method had its step', () => {
    const declared = [...Object.keys(require('@heroku/applink')), ...methods()];
    assert.ok(declared.length > 40, `only ${declared.length} declarations were found`);
    assert.deepEqual(declared.filter((name) => !steps.methods.has(name)), []);
    return `${declared.length} declarations`;
  });
};

function methods() {
  const text = fs.readFileSync(require.resolve('@heroku/applink/dist/index.d.ts'), 'utf8');
  return INTERFACES.flatMap((name) => {
    const body = text.match(new RegExp(`^export interface ${name} {\\n([^}]*(?:{[^}]*}[^}]*)*?)^}`, 'm'));
    assert.ok(body, `there is no interface ${name}`);
    const found = [...body[1].matchAll(/^ {4}(\w+)(?:<\w+>)?\(/gm)].map((match) => `${name}.${match[1]}`);
    return [...new Set(found)];
  });
}
