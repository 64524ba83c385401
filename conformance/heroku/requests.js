// The requests of the AppLink plugin 2.0.3 in the Heroku CLI 11.10.0, header for header, without either of them.
'use strict';

const assert = require('node:assert/strict');
const { randomUUID } = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const tls = require('node:tls');
const zlib = require('node:zlib');

const CLI = 'heroku-cli/11.10.0 linux';
const PLUGIN = 'heroku-cli-plugin-applink/11.10.0 linux';
const VERSION_3 = 'application/vnd.heroku+json; version=3';
const SDK = 'application/vnd.heroku+json; version=3.sdk';
// The list of request ids starts over when it is longer.
const LONGEST_IDS = 7 * 1024;

// One run of the CLI.
class Run {
  // `base` is where HEROKU_HOST leads.
  constructor(dev, base = dev.platform_api_url, key = dev.platform_api_key) {
    this.dev = dev;
    this.base = new URL(base);
    this.key = key;
    this.agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    this.ids = [];
  }

  // What every command asks the Platform API first. Returns the answers.
  async preamble(app = this.dev.app_name, addonName) {
    const get = async (where, accept = VERSION_3) => {
      const answer = await this.platform('GET', where, undefined, { accept });
      assert.equal(answer.status, 200, `${where}: ${answer.text}`);
      return answer.body;
    };
    const [info, addons, attachments, vars] = await Promise.all(['', '/addons', '/addon-attachments', '/config-vars']
      .map((rest) => get(`/apps/${app}${rest}`)));
    const addon = addons.find((one) => one.addon_service.name === 'heroku-applink'
      && (addonName === undefined || one.name === addonName || one.id === addonName));
    const attachment = attachments.find((one) => one.addon.id === addon.id);
    const sso = await get(`/apps/${app}/addons/${addon.id}/sso`, SDK);
    const api = new URL(vars[`${attachment.name}_API_URL`]);
    this.addon = addon.id;
    this.host = api.hostname;
    this.headers = {
      'user-agent': PLUGIN,
      accept: 'application/json',
      'x-addon-sso': Buffer.from(JSON.stringify(sso)).toString('base64'),
      'x-app-uuid': info.id,
      authorization: `Bearer ${vars[`${attachment.name}_TOKEN`]}`,
    };
    return { info, addons, attachments, vars, sso };
  }

  platform(method, where, body, more = {}) {
    const headers = { 'user-agent': CLI, accept: VERSION_3, authorization: `Bearer ${this.key}`, ...more };
    return this.#send(method, where, headers, body);
  }

  // A call of the AppLink API: host of the config var, port of HEROKU_HOST, path from the Platform API's id.
  applink(method, where, body, more = {}) {
    return this.#send(method, `/addons/${this.addon}${where}`, { ...this.headers, ...more }, body);
  }

  async #send(method, where, headers, body) {
    this.ids.unshift(randomUUID());
    if (this.ids.join(',').length > LONGEST_IDS) {
      this.ids.length = 1;
    }
    const text = body && JSON.stringify(body);
    const more = text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) };
    const options = {
      method,
      path: where,
      host: this.base.hostname,
      port: this.base.port,
      agent: this.agent,
      headers: { ...headers, 'request-id': this.ids.join(','), ...more },
    };
    const answer = await exchange(http.request(options), text);
    if (answer.headers['request-id']) {
      this.ids.unshift(...answer.headers['request-id'].split(',').filter((id) => !this.ids.includes(id)));
    }
    return answer;
  }

  // Publishing: always https, always port 443, so through the proxy; another library, so other headers.
  async publish(connection, request, files) {
    const boundary = `axios-1.18.0-boundary-${randomUUID().slice(0, 22)}`;
    const body = multipart(boundary, [
      ['metadata', 'application/zip', zip(files)],
      ['app_request', 'application/json', Buffer.from(JSON.stringify(request))],
    ]);
    const headers = {
      Accept: 'application/json',
      'Content-Type': `multipart/form-data; boundary=${boundary}`,
      Authorization: this.headers.authorization,
      'User-Agent': PLUGIN,
      'x-addon-sso': this.headers['x-addon-sso'],
      'x-app-uuid': this.headers['x-app-uuid'],
      'Content-Length': body.length,
      'Accept-Encoding': 'gzip, compress, deflate, br',
      Host: this.host,
      Connection: 'close',
    };
    const socket = await this.#tunnel();
    const path = `/addons/${this.addon}/connections/salesforce/${connection}/apps`;
    return exchange(http.request({ method: 'POST', path, headers, createConnection: () => socket }), body);
  }

  // TLS to port 443 of the host, through the proxy, trusting nobody but the folder's authority.
  async #tunnel() {
    const proxy = new URL(this.dev.tls.proxy_url);
    const target = `${this.host}:443`;
    const request = http.request({ method: 'CONNECT', host: proxy.hostname, port: proxy.port, path: target });
    const socket = await new Promise((resolve, reject) => {
      request.on('error', reject).on('connect', (answer, raw) => {
        if (answer.statusCode === 200) {
          resolve(raw);
        } else {
          reject(new Error(`the proxy says ${answer.statusCode} to ${target}`));
        }
      }).end();
    });
    const secure = tls.connect({ socket, host: this.host, ca: fs.readFileSync(this.dev.tls.ca_file) });
    await new Promise((resolve, reject) => secure.on('secureConnect', resolve).on('error', reject));
    return secure;
  }
}

function exchange(request, body) {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks = [];
      response.on('error', reject).on('data', (chunk) => chunks.push(chunk)).on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8');
        const parsed = /[/+]json/.test(response.headers['content-type'] ?? '') && text !== '';
        const { statusCode: status, headers } = response;
        resolve({ status, headers, text, body: parsed ? JSON.parse(text) : undefined });
      });
    });
    request.end(body);
  });
}

function multipart(boundary, parts) {
  const encoded = parts.map(([name, type, content]) => {
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="blob"\r\nContent-Type: ${type}\r\n\r\n`;
    return Buffer.concat([Buffer.from(head), content, Buffer.from('\r\n')]);
  });
  return Buffer.concat([...encoded, Buffer.from(`--${boundary}--\r\n`)]);
}

// A zip archive as the plugin's library writes it: deflated, names in UTF-8, files at the root.
function zip(files) {
  const locals = [];
  const entries = [];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const data = Buffer.from(content);
    const packed = zlib.deflateRawSync(data);
    const label = Buffer.from(name);
    const common = Buffer.alloc(26);
    [[0, 20], [2, 0x0800], [4, 8], [6, 0x1000], [8, 0x5c21]].forEach(([at, value]) => common.writeUInt16LE(value, at));
    [[10, zlib.crc32(data)], [14, packed.length], [18, data.length]].forEach(([at, value]) => common.writeUInt32LE(value, at));
    common.writeUInt16LE(label.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, label, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(0x81a40000, 6);
    tail.writeUInt32LE(offset, 10);
    const made = Buffer.from([20, 3]);
    entries.push(Buffer.concat([Buffer.from('PK\x01\x02'), made, common, tail, label]));
    locals.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(entries);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  [[8, entries.length], [10, entries.length]].forEach(([at, value]) => end.writeUInt16LE(value, at));
  [[12, directory.length], [16, offset]].forEach(([at, value]) => end.writeUInt32LE(value, at));
  return Buffer.concat([...locals, directory, end]);
}

module.exports = { Run, zip, VERSION: '2.0.3' };
