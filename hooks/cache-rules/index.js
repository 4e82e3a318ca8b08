'use strict';
// origin-response: how long things keep, for an origin that does not say. Uses a file of its own.

const rules = require('./lib/rules');

exports.handler = async (event) => {
  const { request, response } = event.Records[0].cf;
  if (response.status === '200' && !response.headers['cache-control']) {
    const rule = rules.find(([pattern]) => pattern.test(request.uri));
    if (rule) response.headers['cache-control'] = [{ key: 'Cache-Control', value: rule[1] }];
  }
  return response;
};
