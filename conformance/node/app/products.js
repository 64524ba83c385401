// An ingest API: suppliers send products, the org has each once, by its product code, with its price in the
// standard price book.
'use strict';

const { init } = require('@heroku/applink');

// A composite request takes 25 requests; a product needs one for itself and one for its price.
const AT_ONCE = 12;

async function importProducts(_request, { products }) {
  const org = await init().addons.applink.getAuthorization(process.env.CONNECTION_MARKETING ?? process.env.PORTAL_AUTHORIZATION);
  const imported = [];
  for (let start = 0; start < products.length; start += AT_ONCE) {
    imported.push(...(await importBatch(org, products.slice(start, start + AT_ONCE))));
  }
  const count = (status) => imported.filter((product) => product.status === status).length;
  const counts = { created: count('created'), updated: count('updated'), failed: count('failed') };
  return { content: { ...counts, products: imported } };
}

async function importBatch(org, products) {
  const answers = await composite(org, products.map((product, index) => upsert(org, product, index)));
  const outcomes = products.map((product, index) => outcome(product, answers[index]));
  await writePrices(org, outcomes.filter((product) => product.productId));
  return outcomes.map(({ productCode, status, productId, error }) => ({ productCode, status, productId, error }));
}

function upsert(org, product, index) {
  return {
    method: 'PATCH',
    url: `/services/data/v${org.apiVersion}/sobjects/Product2/ProductCode/${encodeURIComponent(product.productCode)}`,
    referenceId: `product${index}`,
    body: { Name: product.name, Description: product.description, Family: product.family, IsActive: true },
  };
}

function outcome({ productCode, price }, { httpStatusCode, body }) {
  if (httpStatusCode >= 400) return { productCode, status: 'failed', error: body[0].message };
  return { productCode, price, status: body.created ? 'created' : 'updated', productId: body.id };
}

async function writePrices(org, products) {
  if (products.length === 0) return;
  const ids = products.map((product) => `'${product.productId}'`).join(', ');
  const book = await org.dataApi.query('SELECT Id FROM Pricebook2 WHERE IsStandard = true');
  const known = await org.dataApi.query(
    `SELECT Id, Product2Id FROM PricebookEntry WHERE Pricebook2.IsStandard = true AND Product2Id IN (${ids})`,
  );
  const entries = new Map(known.records.map(({ fields }) => [fields.Product2Id, fields.Id]));
  const base = `/services/data/v${org.apiVersion}/sobjects/PricebookEntry`;
  const requests = products.map((product, index) => {
    const entry = entries.get(product.productId);
    const referenceId = `price${index}`;
    if (entry) return { method: 'PATCH', url: `${base}/${entry}`, referenceId, body: { UnitPrice: product.price } };
    const Pricebook2Id = book.records[0].fields.Id;
    const body = { Pricebook2Id, Product2Id: product.productId, UnitPrice: product.price, IsActive: true };
    return { method: 'POST', url: base, referenceId, body };
  });
  const answers = await composite(org, requests);
  const refused = answers.find((answer) => answer.httpStatusCode >= 400);
  if (refused) throw new Error(`a price was refused: ${refused.body[0].message}`);
}

async function composite(org, compositeRequest) {
  const answer = await org.request(
    `services/data/v${org.apiVersion}/composite`,
    {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ allOrNone: false, compositeRequest }),
    },
    true,
  );
  return answer.compositeResponse;
}

module.exports = { importProducts };
