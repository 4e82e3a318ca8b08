// viewer-request: redirects from a key-value store; a key that ends in * stands for all that begins like it.
import cf from 'cloudfront';

const redirects = cf.kvs();

async function targetOf(uri) {
  if (await redirects.exists(uri)) return await redirects.get(uri);
  const folder = `${uri.substring(0, uri.lastIndexOf('/') + 1)}*`;
  if (!(await redirects.exists(folder))) return undefined;
  const target = await redirects.get(folder, { format: 'json' });
  return `${target.to}${uri.substring(folder.length - 2)}`;
}

async function handler(event) {
  const request = event.request;
  const target = await targetOf(request.uri);
  if (target === undefined) return request;
  return { statusCode: 301, statusDescription: 'Moved Permanently', headers: { location: { value: target } } };
}
