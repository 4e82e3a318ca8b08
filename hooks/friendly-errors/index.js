'use strict';
// origin-response: a page of our own when the origin is in trouble, made with a package from node_modules.

const fs = require('fs');
const path = require('path');
const render = require('tiny-template');

const page = fs.readFileSync(path.join(__dirname, 'page.html'), 'utf8');

exports.handler = async ({ Records: [{ cf }] }) => {
  const { config, request, response } = cf;
  if (Number(response.status) < 500) return response;
  return {
    status: response.status,
    statusDescription: response.statusDescription,
    headers: {
      'content-type': [{ key: 'Content-Type', value: 'text/html; charset=utf-8' }],
      'cache-control': [{ key: 'Cache-Control', value: 'no-store' }],
    },
    body: render(page, { status: response.status, uri: request.uri, requestId: config.requestId }),
  };
};
