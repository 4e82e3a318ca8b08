'use strict';
// origin-response: adds the headers that every page should have. They are stored with the page.

const HEADERS = {
  'Strict-Transport-Security': 'max-age=63072000; includeSubDomains',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'same-origin',
};

exports.handler = async (event) => {
  const response = event.Records[0].cf.response;
  for (const [key, value] of Object.entries(HEADERS)) {
    response.headers[key.toLowerCase()] = [{ key, value }];
  }
  return response;
};
