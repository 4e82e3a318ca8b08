// viewer-request: old addresses are sent to new ones, and a folder is its index.html.

var MOVED = { '/old': '/new' };

function handler(event) {
  var request = event.request;
  var target = MOVED[request.uri];
  if (target !== undefined) {
    console.log('moved: ' + request.uri);
    return {
      statusCode: 301,
      statusDescription: 'Moved Permanently',
      headers: { location: { value: target } }
    };
  }
  if (request.uri.endsWith('/')) request.uri += 'index.html';
  return request;
}
