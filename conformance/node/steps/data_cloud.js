// Data Cloud: the local org has none yet.
'use strict';

module.exports = async (steps) => {
  for (const method of ['query', 'queryNextBatch', 'upsert']) {
    steps.notYet(`DataCloudApi.${method}`, 'not tried yet');
  }
};
