// viewer-request: streams need a CBOR Web Token in a header; the key is in a key-value store, by its id.
import cf from 'cloudfront';

async function handler(event) {
  const request = event.request;
  const given = request.headers['x-token'];
  const kid = request.headers['x-token-key'];
  try {
    const key = await cf.kvs().get(`key:${kid.value}`);
    const token = cf.cwt.validateToken(Buffer.from(given.value, 'base64url'), { key: key });
    const claims = token.payload;
    if (claims['4'] <= Math.floor(Date.now() / 1000)) throw new Error('it has run out');
    if (!request.uri.startsWith(claims['2'])) throw new Error(`it is for ${claims['2']}`);
    delete request.headers['x-token'];
    delete request.headers['x-token-key'];
  } catch (error) {
    cf.logCustomData(`token refused: ${error.message}`);
    return { statusCode: 403, statusDescription: 'Forbidden' };
  }
  return request;
}
