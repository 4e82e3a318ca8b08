// viewer-request: testers get another origin, with a header of its own.
import cf from 'cloudfront';

function handler(event) {
  const request = event.request;
  if (request.cookies.tester) {
    cf.updateRequestOrigin({
      domainName: 'canary.origin.test',
      customHeaders: { 'x-canary': 'yes' },
      timeouts: { readTimeout: 10, connectionTimeout: 2 },
    });
  }
  return request;
}
