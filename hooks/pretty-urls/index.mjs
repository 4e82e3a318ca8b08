// origin-request: /docs and /docs/ are the file /docs/index.html at the origin.

export const handler = async (event) => {
  const { request } = event.Records[0].cf;
  if (request.uri.endsWith('/')) {
    request.uri += 'index.html';
  } else if (!/\.[^/]+$/.test(request.uri)) {
    request.uri += '/index.html';
  }
  return request;
};
