// viewer-request: the site is closed, but for those who bring a cookie.

const PAGE = '<!doctype html><title>Back soon</title><p>We are moving house.</p>';

function handler(event) {
  const request = event.request;
  if (request.cookies.team && request.cookies.team.value === 'yes') return request;
  return {
    statusCode: 503,
    statusDescription: 'Service Unavailable',
    headers: {
      'content-type': { value: 'text/html; charset=utf-8' },
      'retry-after': { value: '3600' },
      'cache-control': { value: 'no-store' },
    },
    body: { encoding: 'base64', data: btoa(PAGE) },
  };
}
