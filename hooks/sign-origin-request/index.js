'use strict';
// origin-request: a signature that lets the origin refuse whoever comes around the edge.

const crypto = require('crypto');

const KEY = 'not a secret in a demo';

exports.handler = (event, context, callback) => {
  const request = event.Records[0].cf.request;
  const date = new Date().toISOString();
  const text = [request.method, request.uri, request.querystring, date].join('\n');
  // Work that comes back through the event loop, as a call to a key service would.
  crypto.pbkdf2(KEY, 'edge', 1, 32, 'sha256', (error, key) => {
    if (error) return callback(error);
    const signature = crypto.createHmac('sha256', key).update(text).digest('hex');
    request.headers['x-signed-at'] = [{ key: 'X-Signed-At', value: date }];
    request.headers['x-signature'] = [{ key: 'X-Signature', value: signature }];
    return callback(null, request);
  });
};
