// viewer-request: the origin learns who asks, and a request that already says so is not believed.

function handler(event) {
  var request = event.request;
  request.headers['true-client-ip'] = { value: event.viewer.ip };
  request.headers['x-request-id'] = { value: event.context.requestId };
  return request;
}
