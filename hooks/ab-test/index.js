'use strict';
// viewer-request: gives each visitor one of two home pages and keeps them on it by a cookie.
// The cookie itself is set by visit-cookie at viewer-response.

const PAGES = { a: '/home-a.html', b: '/home-b.html' };

function variantFromCookies(headers) {
  for (const line of headers.cookie || []) {
    const found = /(?:^|;\s*)variant=([ab])(?:;|$)/.exec(line.value);
    if (found) return found[1];
  }
  return null;
}

exports.handler = (event, context, callback) => {
  const request = event.Records[0].cf.request;
  if (request.uri !== '/home') {
    callback(null, request);
    return;
  }
  let variant = variantFromCookies(request.headers);
  if (variant === null) {
    // An address has the same variant each time, so that a first visit without cookies is repeatable too.
    const sum = [...request.clientIp].reduce((total, character) => total + character.charCodeAt(0), 0);
    variant = sum % 2 === 0 ? 'a' : 'b';
  }
  request.headers['x-variant'] = [{ key: 'X-Variant', value: variant }];
  request.uri = PAGES[variant];
  callback(null, request);
};
