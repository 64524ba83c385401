// A public page of the org's campaigns, read as a stored user.
'use strict';

const { init } = require('@heroku/applink');

const CAMPAIGNS = `
  SELECT Id, Name, Status, Type, StartDate, EndDate, Description
  FROM Campaign
  ORDER BY StartDate DESC
`;

async function page() {
  const org = await init().addons.applink.getAuthorization(process.env.CONNECTION_MARKETING ?? process.env.PORTAL_AUTHORIZATION);
  const { records } = await org.dataApi.query(CAMPAIGNS);
  const rows = records.map(({ fields }) => `<li>${escaped(fields.Name)} (${escaped(fields.Status)})</li>`);
  return { type: 'text/html; charset=utf-8', content: `<!doctype html><ul>${rows.join('')}</ul>` };
}

function escaped(text) {
  const signs = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return String(text).replace(/[&<>"']/g, (sign) => signs[sign]);
}

module.exports = { page };
