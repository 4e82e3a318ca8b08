'use strict';
// viewer-request: old addresses move for good, with their query string.

const MOVED = new Map([
  ['/old-home', '/home'],
  ['/blog.php', '/articles/'],
]);

exports.handler = (event, context, callback) => {
  const request = event.Records[0].cf.request;
  const target = MOVED.get(request.uri);
  if (!target) return callback(null, request);
  const location = request.querystring ? `${target}?${request.querystring}` : target;
  return callback(null, {
    status: '301',
    statusDescription: 'Moved Permanently',
    headers: {
      location: [{ key: 'Location', value: location }],
      'cache-control': [{ key: 'Cache-Control', value: 'max-age=3600' }],
    },
  });
};
