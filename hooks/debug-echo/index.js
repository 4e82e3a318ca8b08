'use strict';
// origin-request: shows the event that a function gets.

exports.handler = async (event, context) => {
  console.log('echo', event.Records[0].cf.request.uri);
  return {
    status: '200',
    headers: { 'content-type': [{ key: 'Content-Type', value: 'application/json' }] },
    body: JSON.stringify({ event, function: context.functionName, memory: context.memoryLimitInMB }, null, 2),
  };
};
