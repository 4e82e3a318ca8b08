// viewer-request: old addresses are sent to new ones, and a folder is its index.html.

const MOVED = { '/old': '/new' };

export const handler = async (event) => {
  const { request } = event.Records[0].cf;
  const target = MOVED[request.uri];
  if (target !== undefined) {
    console.log(`moved: ${request.uri}`);
    return {
      status: '301',
      statusDescription: 'Moved Permanently',
      headers: { location: [{ key: 'Location', value: target }] },
    };
  }
  if (request.uri.endsWith('/')) request.uri += 'index.html';
  return request;
};
