// The stock `heroku` CLI as a person runs it: in a shell with the lines `applink dev --tls` wrote, and a home of its own.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const MODULES = path.join(__dirname, 'node_modules');
const BIN = path.join(MODULES, 'heroku', 'bin', 'run.js');
const VERSION = require('heroku/package.json').version;
// Longer than any command should take; one that hangs is a failure, not a wait without end.
const PATIENCE = 120_000;
// What it writes for terminals.
const COLOUR = /\u001b\[[0-9;?]*[A-Za-z]/g;

class Heroku {
  // `envFile` is sourced before each command; `home` is where the CLI keeps what it keeps.
  constructor(home, envFile, more = {}) {
    this.home = home;
    this.envFile = envFile;
    this.more = more;
    const cache = path.join(home, '.cache', 'heroku');
    fs.mkdirSync(cache, { recursive: true });
    // It asks once per home to read the terms of service.
    fs.writeFileSync(path.join(cache, 'terms-of-service'), '');
  }

  // The same person with other variables.
  with(more) {
    return new Heroku(this.home, this.envFile, { ...this.more, ...more });
  }

  // Links a plugin that is installed elsewhere.
  async link(plugin) {
    const linked = await this.run('plugins:link', '--no-install', plugin);
    if (linked.code !== 0) {
      throw new Error(`the plugin can't be linked: ${linked.stderr}`);
    }
  }

  // Runs a command to its end: `{ code, stdout, stderr }`, without colours and without line breaks that only depend on
  // the terminal's width.
  run(...words) {
    return this.#spawn(words, '');
  }

  // The same for a command that waits for a key.
  pressing(keys, ...words) {
    return this.#spawn(words, keys);
  }

  #spawn(words, input) {
    const script = '. "$0" && for pair in "$@"; do shift; case "$pair" in --) break;; esac; export "$pair"; done; exec "$@"';
    const more = Object.entries(this.more).map(([name, value]) => `${name}=${value}`);
    const child = spawn('sh', ['-c', script, this.envFile, ...more, '--', process.execPath, BIN, ...words], {
      cwd: this.home,
      env: { PATH: process.env.PATH, HOME: this.home, LANG: 'C.UTF-8', ...QUIET },
    });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr']) {
      child[name].setEncoding('utf8').on('data', (text) => (output[name] += text));
    }
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE);
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        clearTimeout(timer);
        resolve({ code, stdout: readable(output.stdout), stderr: unwrapped(readable(output.stderr)) });
      });
    });
  }
}

// What the lines of `applink dev --tls` switch off, for shells that only know the plain ones.
const QUIET = { DISABLE_TELEMETRY: 'true', HEROKU_SKIP_NEW_VERSION_CHECK: 'true', HEROKU_DISABLE_AUTOUPDATE: 'true' };

function readable(text) {
  return text.replace(COLOUR, '').replace(/⬢ /g, '').replace(/\r/g, '\n');
}

// Warnings and errors are framed with `›` and broken at the width of the terminal.
function unwrapped(text) {
  return text.replace(/\n ›[ ]+/g, ' ').replace(/[ ]+/g, ' ').trim();
}

module.exports = { Heroku, VERSION };
