// viewer-response: what is missing becomes a page of its own; what has a hash in its name is kept for good.

function handler(event) {
  const response = event.response;
  if (/\.[0-9a-f]{8}\.[a-z]+$/.test(event.request.uri)) {
    response.headers['cache-control'] = { value: 'public, max-age=31536000, immutable' };
  }
  if (response.statusCode === 204) {
    response.statusCode = 200;
    response.statusDescription = 'OK';
    response.headers['content-type'] = { value: 'text/plain' };
    response.body = 'There is nothing here yet.\n';
  }
  return response;
}
