// What the steps do at the local org and in its neighbourhood, beside the client they are about.
'use strict';

const assert = require('node:assert/strict');
const { generateKeyPairSync } = require('node:crypto');
const net = require('node:net');

// An org's OAuth client for JWT bearer, and the key that signs for it: `{ clientId, key }`. Called again with the same
// name it gives the client another key, so that what was signed with the old one is refused from then on.
async function jwtClient(dev, name) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const client = await sim(dev, '/oauth-clients', {
    name,
    public_key_pem: publicKey.export({ type: 'spki', format: 'pem' }),
    scopes: ['api', 'id', 'refresh_token', 'cdp_query_api', 'cdp_ingest_api', 'cdp_profile_api'],
    admin_approved_profiles: ['System Administrator', 'Integration User'],
  });
  return { clientId: client.consumer_key, key: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

async function sim(dev, where, body) {
  const response = await fetch(`${dev.org_url}/_sim${where}`, {
    method: 'POST',
    headers: { 'X-Sim-Key': dev.sim_key, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  assert.ok(response.ok, JSON.stringify(answer));
  return answer;
}

// What the org says of itself.
async function lookAtOrg(dev, where) {
  const response = await fetch(`${dev.org_url}/_sim${where}`, { headers: { 'X-Sim-Key': dev.sim_key } });
  const answer = await response.json();
  assert.ok(response.ok, JSON.stringify(answer));
  return answer;
}

// Ends an access token at the org, as an admin there would.
async function revokeAtOrg(dev, token) {
  const response = await fetch(`${dev.org_url}/services/oauth2/revoke`, {
    method: 'POST',
    body: new URLSearchParams({ token }),
  });
  assert.equal(response.status, 200);
}

// The org revokes a user's access token; the app that holds it reports that it was refused, and gets another. A very
// young token is not replaced at once.
async function revokeToken(dev, user) {
  const tokenOf = async (response) => (await response.json()).org.user_auth.access_token;
  const revoked = await tokenOf(await asApp(dev, 'GET', `/authorizations/${user}`));
  await revokeAtOrg(dev, revoked);
  await until((token) => token !== revoked, async () =>
    tokenOf(await asApp(dev, 'POST', `/authorizations/${user}/refresh`, {})));
}

// `dev` as it is for the sandbox. An org keeps five grants of a user for one client: what dies does so where few have logged in.
function sandboxOf(dev) {
  return { ...dev, org_url: dev.sandbox_url, users: dev.sandbox_users };
}

// An admin of the org takes from apps what a user granted last: that grant is dead, and nobody has noticed yet.
async function revokeGrant(dev, role) {
  const { revoked } = await sim(dev, '/grants/revoke', { username: person(dev, role).username, newest: true });
  assert.equal(revoked, 1);
}

// Does something again until `done` says that it is; what was seen last.
async function until(done, run) {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const seen = await run();
    if (done(seen)) {
      return seen;
    }
    assert.ok(Date.now() < deadline, `not within a minute: ${JSON.stringify(seen)}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

// The app that uses a dead grant hears that somebody has to log in again. A very young token is not replaced at once.
async function noticedByApp(dev, user) {
  const report = async () => {
    const response = await asApp(dev, 'POST', `/authorizations/${user}/refresh`, {});
    return { status: response.status, body: await response.json() };
  };
  const { body } = await until(({ status }) => status !== 200, report);
  assert.equal(body.id, 'reauth_required', JSON.stringify(body));
}

// A sample user of the org in front of a browser.
function person(dev, role, decision) {
  const { username, password } = dev.users.find((user) => user.role === role);
  return { username, password, decision };
}

// What an app asks at run time, with nothing but the add-on's token.
function asApp(dev, method, where, body) {
  return fetch(dev.applink_api_url + where, {
    method,
    headers: {
      Authorization: `Bearer ${dev.applink_token}`,
      'X-App-UUID': dev.app_id,
      'Content-Type': 'application/json',
    },
    body: body && JSON.stringify(body),
  });
}

// Stands in front of the server and cuts the first connection that brings a request like `line`, once the server has
// answered it and before the client hears of it. `{ port, cuts(), close() }`.
async function cutting(target, line) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  let cuts = 0;
  const server = net.createServer((client) => {
    const upstream = net.connect(Number(port), hostname);
    let cut = false;
    client.on('data', (chunk) => {
      cut ||= cuts === 0 && chunk.toString('latin1').startsWith(line);
      upstream.write(chunk);
    });
    upstream.on('data', (chunk) => {
      if (!cut) {
        client.write(chunk);
      } else if (cuts === 0) {
        cuts += 1;
        client.resetAndDestroy();
        upstream.destroy();
      }
    });
    for (const [one, other] of [[client, upstream], [upstream, client]]) {
      open.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        open.delete(one);
        other.destroy();
      });
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    cuts: () => cuts,
    close: () => {
      open.forEach((socket) => socket.destroy());
      server.close();
    },
  };
}

// A port nobody listens on.
function closedPort() {
  return new Promise((resolve) => {
    const server = net.createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

module.exports = {
  jwtClient, lookAtOrg, revokeToken, revokeGrant, sandboxOf, noticedByApp, until, person, asApp, cutting,
  closedPort,
};
