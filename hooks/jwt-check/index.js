'use strict';
// viewer-request: lets in who has a token (JWT, HS256), and tells the origin who it is.

const { createHmac, timingSafeEqual } = require('crypto');

const KEY = 'not a secret in a demo';

const refusal = (why) => ({
  status: '401',
  statusDescription: 'Unauthorized',
  headers: { 'www-authenticate': [{ key: 'WWW-Authenticate', value: `Bearer error="invalid_token", error_description="${why}"` }] },
});

const decoded = (part) => JSON.parse(Buffer.from(part, 'base64url').toString());

function claimsOf(token) {
  const [head, claims, signature] = token.split('.');
  if (!signature || decoded(head).alg !== 'HS256') throw new Error('malformed');
  const expected = createHmac('sha256', KEY).update(`${head}.${claims}`).digest();
  const given = Buffer.from(signature, 'base64url');
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new Error('bad signature');
  return decoded(claims);
}

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  delete request.headers['x-user'];
  const given = request.headers.authorization?.[0].value ?? '';
  if (!given.startsWith('Bearer ')) return refusal('missing');
  let claims;
  try {
    claims = claimsOf(given.slice('Bearer '.length));
  } catch (error) {
    console.warn('refused:', error.message);
    return refusal('invalid');
  }
  if (!(claims.exp > Date.now() / 1000)) return refusal('expired');
  request.headers['x-user'] = [{ key: 'X-User', value: claims.sub }];
  return request;
};
