'use strict';
// origin-request: testers, by header, get the canary origin, with a shorter patience and a header of its own.

exports.handler = (event, context) => {
  const request = event.Records[0].cf.request;
  if (request.headers['x-tester']) {
    request.origin.custom.domainName = 'canary.origin.test';
    request.origin.custom.readTimeout = 5;
    request.origin.custom.path = '/next';
    request.origin.custom.customHeaders['x-canary'] = [{ key: 'X-Canary', value: 'yes' }];
    request.headers.host = [{ key: 'Host', value: 'canary.origin.test' }];
  }
  context.succeed(request);
};
