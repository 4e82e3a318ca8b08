'use strict';
// Two functions in one bundle, by nested exports: index.cors.preflight for viewer-request answers a browser's OPTIONS,
// index.cors.allow for viewer-response names the allowed site.

const SITES = new Set(['https://app.example.com', 'https://admin.example.com']);

const site = (request) => {
  const origin = request.headers.origin;
  return origin && SITES.has(origin[0].value) ? origin[0].value : null;
};

exports.cors = {
  async preflight(event) {
    const { request } = event.Records[0].cf;
    if (request.method !== 'OPTIONS' || !request.headers['access-control-request-method']) return request;
    const allowed = site(request);
    if (allowed === null) return { status: '403', statusDescription: 'Forbidden' };
    return {
      status: '204',
      statusDescription: 'No Content',
      headers: {
        'access-control-allow-origin': [{ key: 'Access-Control-Allow-Origin', value: allowed }],
        'access-control-allow-methods': [{ key: 'Access-Control-Allow-Methods', value: 'GET, POST, PUT' }],
        'access-control-allow-headers': [{ key: 'Access-Control-Allow-Headers', value: 'Content-Type' }],
        'access-control-max-age': [{ key: 'Access-Control-Max-Age', value: '600' }],
        vary: [{ key: 'Vary', value: 'Origin' }],
      },
    };
  },

  async allow(event) {
    const { request, response } = event.Records[0].cf;
    const allowed = site(request);
    if (allowed !== null) {
      response.headers['access-control-allow-origin'] = [{ key: 'Access-Control-Allow-Origin', value: allowed }];
      response.headers.vary = [...(response.headers.vary ?? []), { key: 'Vary', value: 'Origin' }];
    }
    return response;
  },
};
