// A small app with the three kinds of integration, on the official SDK:
//
// - a web page of the org's campaigns (campaigns.js), as a stored user;
// - an ingest API for products (products.js), as a stored user;
// - a call-out that the org makes (provisioning.js), as the calling user.
'use strict';

const http = require('node:http');

const campaigns = require('./campaigns');
const products = require('./products');
const provisioning = require('./provisioning');

const ROUTES = {
  'GET /': campaigns.page,
  'POST /api/products/import': products.importProducts,
  'POST /api/provisionServices': provisioning.provisionServices,
};

async function body(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString('utf8');
  return text === '' ? undefined : JSON.parse(text);
}

async function answer(request, response) {
  const route = ROUTES[`${request.method} ${request.url}`];
  if (!route) return response.writeHead(404).end();
  try {
    const { status = 200, type = 'application/json', content, after } = await route(request, await body(request));
    response.writeHead(status, { 'Content-Type': type });
    response.end(type === 'application/json' ? JSON.stringify(content) : content);
    if (after) setImmediate(() => after().catch((error) => console.error(error)));
  } catch (error) {
    console.error(error);
    response.writeHead(500, { 'Content-Type': 'application/json' }).end(JSON.stringify({ error: error.message }));
  }
}

const server = http.createServer(answer);
server.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('listening'));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
