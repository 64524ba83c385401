// A person in front of a real headless browser: logs in at the org and answers its question.
//
// As a program it is what `$BROWSER` names: `node browser.js URL`, with the person in PERSON as JSON.
'use strict';

const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const readline = require('node:readline');

const PATIENCE = 60_000;
// The key of an element in WebDriver's answers.
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';
// What the page in the window is for; null until it is loaded. A page that was answered is marked, since it stays for a
// moment.
const PURPOSE = `
  if (document.readyState !== 'complete' || window.answered) return null;
  if (document.querySelector('input[name=password]')) return 'login';
  if (document.querySelector('button[value=allow]')) return 'consent';
  return 'end';`;

class Browser {
  static async start() {
    const profile = fs.mkdtempSync(path.join(os.tmpdir(), 'applink-browser-'));
    // A process group of its own: the browser and its helpers are in it.
    const driver = spawn('chromedriver', ['--port=0'], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
    driver.on('error', () => {});
    const browser = new Browser(driver, profile);
    try {
      browser.base = `http://127.0.0.1:${await portOf(driver)}`;
      await browser.#open();
    } catch (error) {
      browser.stop();
      throw error;
    }
    return browser;
  }

  constructor(driver, profile) {
    this.driver = driver;
    this.profile = profile;
  }

  async #open() {
    const args = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--disable-sync',
      `--user-data-dir=${this.profile}`];
    const capabilities = { alwaysMatch: { 'goog:chromeOptions': { args } } };
    const { sessionId } = await this.#call('POST', '/session', { capabilities });
    this.base += `/session/${sessionId}`;
  }

  stop() {
    try {
      process.kill(-this.driver.pid, 'SIGKILL');
    } catch {
      // It is gone.
    }
    fs.rmSync(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }

  async goto(url) {
    await this.#call('POST', '/url', { url });
  }

  async type(css, text) {
    await this.#call('POST', `/element/${await this.#find(css)}/value`, { text });
  }

  // Clicks, and waits for the page it leads to.
  async answer(css) {
    await this.script('window.answered = true');
    await this.#call('POST', `/element/${await this.#find(css)}/click`, {});
  }

  async script(script) {
    return this.#call('POST', '/execute/sync', { script, args: [] });
  }

  async #find(css) {
    return (await this.#call('POST', '/element', { using: 'css selector', value: css }))[ELEMENT];
  }

  async #call(method, where, body) {
    const response = await fetch(this.base + where, { method, body: JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) {
      throw new Error(`the browser: ${value.error}: ${value.message}`);
    }
    return value;
  }
}

async function portOf(driver) {
  for await (const line of readline.createInterface({ input: driver.stdout })) {
    const port = /successfully on port (\d+)/.exec(line);
    if (port) {
      return port[1];
    }
  }
  throw new Error('ChromeDriver does not start; it is in the package chromium-driver');
}

// Opens `url` and does as the person would until there is nothing left to do: the text of the last page.
async function visit(url, person) {
  const browser = await Browser.start();
  try {
    await browser.goto(url);
    const deadline = Date.now() + PATIENCE;
    while (Date.now() < deadline) {
      const purpose = await browser.script(PURPOSE);
      if (purpose === 'login') {
        await browser.type('input[name=username]', person.username);
        await browser.type('input[name=password]', person.password);
        await browser.answer('form button');
      } else if (purpose === 'consent') {
        await browser.answer(`button[value=${person.decision ?? 'allow'}]`);
      } else if (purpose === 'end') {
        return await browser.script('return document.body.innerText');
      } else {
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
    throw new Error('the log-in has no end');
  } finally {
    browser.stop();
  }
}

// A program that is `$BROWSER` for this person. What the last page says is kept beside it.
function asProgram(folder, person) {
  const file = path.join(folder, `browser-${person.username}-${person.decision ?? 'allow'}`);
  const command = `PERSON='${JSON.stringify(person)}' exec '${process.execPath}' '${__filename}' "$1" > '${file}.page' 2>&1`;
  fs.writeFileSync(file, `#!/bin/sh\n${command}\n`, { mode: 0o700 });
  return file;
}

module.exports = { visit, asProgram };

if (require.main === module) {
  visit(process.argv[2], JSON.parse(process.env.PERSON)).then(console.log, (error) => {
    console.error(error);
    process.exitCode = 1;
  });
}
