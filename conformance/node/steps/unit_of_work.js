// Several changes that happen together or not at all.
'use strict';

const assert = require('node:assert/strict');

const { fails } = require('../steps');

module.exports = async (steps, stack) => {
  const { dataApi } = await stack.adminOrg();
  const count = async (name) =>
    (await dataApi.query(`SELECT COUNT() FROM Account WHERE Name = '${name}'`)).totalSize;
  const old = await dataApi.create({ type: 'Account', fields: { Name: 'Old unit' } });
  const gone = await dataApi.create({ type: 'Account', fields: { Name: 'Gone unit' } });
  const unit = dataApi.newUnitOfWork();
  let account;
  let contact;
  let updated;
  let deleted;

  await steps.step('DataApi.newUnitOfWork', 'a fresh one each time', () =>
    assert.notEqual(dataApi.newUnitOfWork(), dataApi.newUnitOfWork()));
  await steps.step('UnitOfWork.registerCreate', 'a record, and one that refers to it', () => {
    account = unit.registerCreate({ type: 'Account', fields: { Name: 'New unit' } });
    contact = unit.registerCreate({ type: 'Contact', fields: { LastName: 'Unit', AccountId: account.toApiString() } });
  });
  await steps.step('UnitOfWork.registerUpdate', 'an existing record', () => {
    updated = unit.registerUpdate({ type: 'Account', fields: { id: old.id, Name: 'Renamed unit' } });
  });
  await steps.step('UnitOfWork.registerDelete', 'an existing record', () => {
    deleted = unit.registerDelete('Account', gone.id);
  });
  await steps.step('ReferenceId.toString', 'names the operation', () =>
    assert.equal(account.toString(), 'referenceId0'));
  await steps.step('ReferenceId.toApiString', 'names its record', () =>
    assert.equal(account.toApiString(), '@{referenceId0.id}'));
  await steps.step('DataApi.commitUnitOfWork', 'create, refer, update and delete', async () => {
    const results = await dataApi.commitUnitOfWork(unit);
    assert.equal(results.size, 4);
    assert.match(results.get(account).id, /^001/);
    assert.equal(results.get(updated).id, old.id);
    assert.equal(results.get(deleted).id, gone.id);
    const { records } = await dataApi.query(
      `SELECT Account.Name FROM Contact WHERE Id = '${results.get(contact).id}'`);
    assert.equal(records[0].fields.Account.fields.Name, 'New unit');
    assert.deepEqual(await Promise.all(['Renamed unit', 'Old unit', 'Gone unit'].map(count)), [1, 0, 0]);
  });
  await steps.step('DataApi.commitUnitOfWork', 'an id object as a field', async () => {
    const unit = dataApi.newUnitOfWork();
    const parent = unit.registerCreate({ type: 'Account', fields: { Name: 'Parent unit' } });
    const child = unit.registerCreate({ type: 'Account', fields: { Name: 'Child unit', ParentId: parent } });
    const results = await dataApi.commitUnitOfWork(unit);
    const { records } = await dataApi.query(`SELECT ParentId FROM Account WHERE Id = '${results.get(child).id}'`);
    assert.equal(records[0].fields.ParentId, results.get(parent).id);
  });
  await steps.step('DataApi.commitUnitOfWork', 'nothing registered', async () =>
    assert.equal((await dataApi.commitUnitOfWork(dataApi.newUnitOfWork())).size, 0));
  await steps.step('DataApi.commitUnitOfWork', 'one of two fails: neither happens', async () => {
    const unit = dataApi.newUnitOfWork();
    unit.registerCreate({ type: 'Account', fields: { Name: 'Halted unit' } });
    unit.registerCreate({ type: 'Contact', fields: { FirstName: 'No last name' } });
    // This version of the SDK tells the first error in the order of the answer, not the cause.
    const error = await fails(() => dataApi.commitUnitOfWork(unit),
      'PROCESSING_HALTED: The transaction was rolled back since another operation in the same transaction failed.');
    assert.equal(await count('Halted unit'), 0);
    return error.message;
  });
  await steps.step('DataApi.commitUnitOfWork', 'the cause of a failure', async () => {
    const unit = dataApi.newUnitOfWork();
    unit.registerCreate({ type: 'Contact', fields: { FirstName: 'No last name' } });
    const error = await fails(() => dataApi.commitUnitOfWork(unit),
      'REQUIRED_FIELD_MISSING: Required fields are missing: [LastName]');
    return error.message;
  });
};
