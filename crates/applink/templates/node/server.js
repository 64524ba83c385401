'use strict';

const { parseRequest } = require('@heroku/applink');

const { createServer } = require('./app');

const server = createServer((headers) => parseRequest(headers, undefined).context.org);
const port = Number(process.env.APP_PORT ?? 3000);
server.listen(port, '127.0.0.1', () => console.log(`listening on ${port}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
