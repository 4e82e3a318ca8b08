// viewer-request: lets only those in who bring a signed token (JWT, HS256) in the parameter `jwt`, and takes it out.
import crypto from 'crypto';

const KEY = 'not a secret in a demo';

function signatureOf(text) {
  return crypto.createHmac('sha256', KEY).update(text).digest('base64url');
}

function isEqual(one, other) {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let i = 0; i < one.length; i++) difference |= one.charCodeAt(i) ^ other.charCodeAt(i);
  return difference === 0;
}

function claimsOf(token) {
  const parts = token.split('.');
  if (parts.length !== 3) throw new Error('no token');
  const header = JSON.parse(Buffer.from(parts[0], 'base64url').toString());
  if (header.alg !== 'HS256') throw new Error(`the algorithm ${header.alg} is not allowed`);
  if (!isEqual(parts[2], signatureOf(`${parts[0]}.${parts[1]}`))) throw new Error('the signature does not match');
  const claims = JSON.parse(Buffer.from(parts[1], 'base64url').toString());
  const now = Math.floor(Date.now() / 1000);
  if (claims.nbf && now < claims.nbf) throw new Error('it does not hold yet');
  if (claims.exp && now >= claims.exp) throw new Error('it has run out');
  return claims;
}

function handler(event) {
  const request = event.request;
  const given = request.querystring.jwt;
  try {
    const claims = claimsOf(given ? given.value : '');
    request.headers['x-user'] = { value: String(claims.sub) };
  } catch (error) {
    console.log(`refused: ${error.message}`);
    return {
      statusCode: 401,
      statusDescription: 'Unauthorized',
      headers: { 'www-authenticate': { value: 'Bearer' } },
    };
  }
  delete request.querystring.jwt;
  return request;
}
