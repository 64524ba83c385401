// Runs steps and prints one JSON line for each.
'use strict';

const assert = require('node:assert/strict');

class Steps {
  constructor(client, version) {
    this.client = client;
    this.version = version;
    this.failed = 0;
    this.methods = new Set();
  }

  // Runs one step of a method. A text that `run` returns is the line's detail.
  async step(method, step, run) {
    this.methods.add(method);
    try {
      const detail = await run();
      this.#print(method, step, true, typeof detail === 'string' ? detail : '');
    } catch (error) {
      this.failed += 1;
      this.#print(method, step, false, `${error.name}: ${error.message}`);
    }
  }

  // A method the local stack has no counterpart for yet.
  notYet(method, reason) {
    this.methods.add(method);
    this.#print(method, 'not yet', null, reason);
  }

  #print(method, step, ok, detail) {
    const { client, version } = this;
    console.log(JSON.stringify({ client, version, method, step, ok, detail: String(detail) }));
  }
}

// Demands that `run` fails with exactly this message, and returns the error for further checks.
async function fails(run, message) {
  const error = await failure(run);
  assert.equal(error.message, message);
  return error;
}

// Demands that `run` fails with this Salesforce error code, and returns the error for further checks.
async function refused(run, code) {
  const error = await failure(run);
  assert.equal(error.errorCode, code, `${error.name}: ${error.message}`);
  return error;
}

async function failure(run) {
  let value;
  try {
    value = await run();
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: `it should have failed, but gave ${JSON.stringify(value)}` });
}

module.exports = { Steps, fails, refused };
