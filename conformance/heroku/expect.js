// What a command of the Heroku CLI is expected to say.
'use strict';

const assert = require('node:assert/strict');

// It ends with 0.
async function succeeds(running) {
  const ended = await running;
  assert.equal(ended.code, 0, `exit ${ended.code}: ${ended.stderr}`);
  return ended;
}

// It ends with `code`, says `message`, and the error's id when there is to be one.
async function refused(running, code, message, id) {
  const ended = await running;
  const said = `exit ${ended.code}: ${ended.stderr}`;
  assert.equal(ended.code, code, said);
  assert.ok(ended.stderr.includes(message), said);
  if (id !== undefined) {
    assert.ok(ended.stderr.includes(`Error ID: ${id}`), said);
  }
  return ended;
}

// One line holds all of these, in this order.
function line(text, ...parts) {
  const holds = (candidate) => parts.reduce((from, part) => {
    const at = from < 0 ? -1 : candidate.indexOf(part, from);
    return at < 0 ? -1 : at + part.length;
  }, 0) >= 0;
  assert.ok(text.split('\n').some(holds), `no line has ${parts.join(' … ')}:\n${text}`);
}

module.exports = { succeeds, refused, line };
