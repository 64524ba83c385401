// Salesforce's own CLI as a person runs it, in a home of its own.
'use strict';

const { spawn } = require('node:child_process');
const path = require('node:path');

const PACKAGE = path.join(__dirname, 'node_modules', '@salesforce', 'cli');
const BIN = path.join(PACKAGE, 'bin', 'run.js');
const VERSION = require(path.join(PACKAGE, 'package.json')).version;
// Longer than any command should take; one that hangs is a failure, not a wait without end.
const PATIENCE = 180_000;

// What keeps it from calling anybody but the org, and from a keychain it would ask a person for.
const QUIET = {
  CI: 'true',
  SF_DISABLE_TELEMETRY: 'true',
  SF_AUTOUPDATE_DISABLE: 'true',
  SF_SKIP_NEW_VERSION_CHECK: 'true',
  SF_DISABLE_LOG_FILE: 'true',
  SF_USE_GENERIC_UNIX_KEYCHAIN: 'true',
};

class Sf {
  constructor(home, more = {}) {
    this.home = home;
    this.more = more;
  }

  // The same person with other variables.
  with(more) {
    return new Sf(this.home, { ...this.more, ...more });
  }

  // Runs a command with `--json` to its end: `{ code, answer }`, the answer as it prints it.
  async run(...words) {
    const { code, stdout, stderr } = await ended(process.execPath, [BIN, ...words, '--json'], this.home, {
      PATH: process.env.PATH, HOME: this.home, LANG: 'C.UTF-8', ...QUIET, ...this.more,
    });
    try {
      return { code, answer: JSON.parse(stdout) };
    } catch {
      throw new Error(`sf ${words.slice(0, 3).join(' ')} ended with ${code} and printed no JSON: ${stdout}${stderr}`);
    }
  }
}

// Runs a program to its end.
function ended(program, words, cwd, env) {
  const child = spawn(program, words, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr']) {
    child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, ...output });
    });
  });
}

module.exports = { Sf, ended, VERSION };
