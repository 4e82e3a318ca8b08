// viewer-request: addresses that a key-value store knows are sent elsewhere, and a folder is its index.html.
import cf from 'cloudfront';

const moved = cf.kvs();

async function handler(event) {
  const request = event.request;
  if (await moved.exists(request.uri)) {
    const target = await moved.get(request.uri);
    console.log(`moved: ${request.uri}`);
    return {
      statusCode: 301,
      statusDescription: 'Moved Permanently',
      headers: { location: { value: target } },
    };
  }
  if (request.uri.endsWith('/')) request.uri += 'index.html';
  return request;
}
