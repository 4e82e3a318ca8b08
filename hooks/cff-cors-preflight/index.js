// viewer-request: answers a browser's preflight; other requests go on.

var ORIGINS = ['https://app.example.com', 'https://admin.example.com'];

function handler(event) {
  var request = event.request;
  var origin = request.headers.origin;
  if (request.method !== 'OPTIONS' || !origin || ORIGINS.indexOf(origin.value) === -1) return request;
  return {
    statusCode: 204,
    statusDescription: 'No Content',
    headers: {
      'access-control-allow-origin': { value: origin.value },
      'access-control-allow-methods': { value: 'GET, POST, PUT' },
      'access-control-allow-headers': { value: 'content-type, authorization' },
      'access-control-max-age': { value: '600' },
      vary: { value: 'Origin' }
    }
  };
}
