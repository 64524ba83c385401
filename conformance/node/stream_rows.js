// The rows of Data Cloud through the official SDK, batch by batch, measured: `stream_rows.js COUNT`.
'use strict';

const fs = require('node:fs');

const { init } = require('@heroku/applink');

async function main() {
  const count = Number(process.argv[2]);
  const org = await init().addons.applink.getAuthorization(process.env.CONFORMANCE_LAKE);
  const started = process.hrtime.bigint();
  let batch = await org.dataCloudApi.query({
    sql: `SELECT eventId__c, visitor__c, page__c, quantity__c FROM ClickEvent__dlm WHERE eventId__c LIKE 'bench-%' LIMIT ${count}`,
  });
  let rows = 0;
  let letters = 0;
  for (;;) {
    for (const row of batch.data) {
      letters += row[2].length;
      rows += 1;
    }
    if (batch.done) {
      break;
    }
    batch = await org.dataCloudApi.queryNextBatch(batch.nextBatchId);
  }
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  const peak = Number(/VmHWM:\s+(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]);
  console.log(JSON.stringify({ rows, letters, seconds, peak_kib: peak }));
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
