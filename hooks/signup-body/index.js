'use strict';
// origin-request with include_body: turns a posted form into JSON for the origin.

const querystring = require('querystring');

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  const type = request.headers['content-type'];
  if (request.method !== 'POST' || !type || !type[0].value.startsWith('application/x-www-form-urlencoded')) {
    return request;
  }
  const form = querystring.parse(Buffer.from(request.body.data, 'base64').toString());
  request.body.action = 'replace';
  request.body.encoding = 'text';
  request.body.data = JSON.stringify({ ...form, truncated: request.body.inputTruncated });
  request.headers['content-type'] = [{ key: 'Content-Type', value: 'application/json' }];
  return request;
};
