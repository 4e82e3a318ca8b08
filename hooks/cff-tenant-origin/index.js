// viewer-request: each tenant has an origin of the configuration; a key-value store knows which.
import cf from 'cloudfront';

async function handler(event) {
  const request = event.request;
  const tenant = request.uri.split('/')[2];
  try {
    const settings = await cf.kvs().get(`tenant:${tenant}`, { format: 'json' });
    cf.selectRequestOriginById(settings.origin);
    request.uri = request.uri.replace(`/tenants/${tenant}`, settings.folder);
  } catch (error) {
    return { statusCode: 404, statusDescription: 'Not Found', body: `There is no tenant ${tenant}.\n` };
  }
  return request;
}
