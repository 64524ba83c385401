// Called by the org, through the mesh: everything here runs with the calling user's own rights.
'use strict';

const http = require('node:http');

const ROUTES = { 'GET /accounts': listAccounts };

async function listAccounts(org) {
  const { records } = await org.dataApi.query('SELECT Id, Name FROM Account ORDER BY Name LIMIT 50');
  return { accounts: records.map(({ fields }) => ({ id: fields.Id, name: fields.Name })) };
}

// `orgOf` turns a request's headers into the calling user's org.
function createServer(orgOf) {
  return http.createServer(async (request, response) => {
    const answer = (status, content) => {
      response.writeHead(status, { 'Content-Type': 'application/json' });
      response.end(JSON.stringify(content));
    };
    const route = ROUTES[`${request.method} ${request.url.split('?')[0]}`];
    if (!route) return answer(404, { error: 'there is no such path' });
    try {
      answer(200, await route(orgOf(request.headers)));
    } catch (error) {
      console.error(error.message);
      answer(500, { error: 'the org could not be asked' });
    }
  });
}

module.exports = { createServer };
