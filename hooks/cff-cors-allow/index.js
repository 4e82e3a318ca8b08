// viewer-response: allows the pages of a few origins to read the answer, unless the origin has said itself who may.

var ORIGINS = ['https://app.example.com', 'https://admin.example.com'];

function handler(event) {
  var response = event.response;
  var origin = event.request.headers.origin;
  if (!response.headers['access-control-allow-origin'] && origin && ORIGINS.includes(origin.value)) {
    response.headers['access-control-allow-origin'] = { value: origin.value };
  }
  return response;
}
