'use strict';
// viewer-request: browsers that can read WebP get it, each under an address of its own, so the cache needs no Vary.

exports.handler = (event, context) => {
  const request = event.Records[0].cf.request;
  const accept = (request.headers.accept || []).map(({ value }) => value).join(',');
  if (/\.(?:jpe?g|png)$/i.test(request.uri) && /\bimage\/webp\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/.test(accept)) {
    request.uri += '.webp';
  }
  context.done(null, request);
};
