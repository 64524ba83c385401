// An OpenID provider on a free port of this machine, for the tests of signing in to the dashboard. Its first line says
// where it is. Its pages for logging in are those of the package; any password will do.
//
// node provider.mjs [token|userinfo]   where the claims of a person are to be found

import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const people = {
  ann: { email: 'ann@acme.example', email_verified: true, groups: ['platform', 'everyone'] },
  sam: { email: 'sam@acme.example', email_verified: true, groups: ['support', 'everyone'] },
  eve: { email: 'ann@acme.example', email_verified: false, groups: ['everyone'] },
};

const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'applink',
      client_secret: 'canary-openid-secret',
      // Of such a client any port of this machine counts, and the control plane's is not known yet.
      application_type: 'native',
      redirect_uris: ['http://127.0.0.1/sso/openid/callback'],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
    }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['groups'] },
    conformIdTokenClaims: process.argv[2] !== 'token',
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    pkce: { required: () => true },
    cookies: { keys: ['only for tests'] },
  });
  server.on('request', provider.callback());
  process.stdout.write(`${JSON.stringify({ issuer })}\n`);
});
