// viewer-request: the home page is that of the viewer's country (CloudFront-Viewer-Country).

var HOMES = { DE: '/de/', AT: '/de/', FR: '/fr/' };

function handler(event) {
  var request = event.request;
  var country = request.headers['cloudfront-viewer-country'];
  var home = country && HOMES[country.value];
  if (request.uri !== '/world' || !home) return request;
  return {
    statusCode: 302,
    statusDescription: 'Found',
    headers: {
      location: { value: home },
      'cache-control': { value: 'no-store' }
    }
  };
}
