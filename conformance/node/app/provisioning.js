// Called by the org: answers at once, provisions afterwards, and reports by callback, all as the calling user.
'use strict';

const { randomUUID } = require('node:crypto');

const { parseRequest } = require('@heroku/applink');

async function provisionServices(request, body) {
  const { context, event, logger } = parseRequest(request.headers, body);
  const jobId = randomUUID();
  const opportunities = await visible(context.org, event.data.opportunityIds);
  const parameters = await context.org.dataApi.query('SELECT Name__c, Value__c FROM ProvisioningParameter__mdt');
  logger.info(`job ${jobId} of ${context.org.user.username}`);
  const content = {
    jobId,
    requestId: context.id,
    username: context.org.user.username,
    opportunitiesVisible: opportunities.length,
    parametersRead: parameters.totalSize,
  };
  return { status: 201, content, after: () => provision(context.org, jobId, opportunities, event.data.callbackUrl) };
}

async function visible(org, ids) {
  const list = ids.filter((id) => /^[A-Za-z0-9]{15,18}$/.test(id)).map((id) => `'${id}'`).join(', ');
  const { records } = await org.dataApi.query(
    `SELECT Id, Name, (SELECT Id, Product2.Name, Quantity FROM OpportunityLineItems) FROM Opportunity WHERE Id IN (${list})`,
  );
  return records;
}

async function provision(org, jobId, opportunities, callbackUrl) {
  if (!callbackUrl) return;
  await report(org, callbackUrl, { jobId, status: 'started', services: [] });
  const services = opportunities.flatMap(({ subQueryResults }) =>
    (subQueryResults.OpportunityLineItems?.records ?? []).map(({ fields }) => ({
      lineItemId: fields.Id,
      message: `${fields.Quantity} × ${fields.Product2.fields.Name} runs.`,
    })),
  );
  await report(org, callbackUrl, { jobId, status: 'completed', services });
}

async function report(org, callbackUrl, status) {
  const options = { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(status) };
  await org.request(callbackUrl, options, false);
}

module.exports = { provisionServices };
