'use strict';
// origin-request: answers /pixel.gif with a transparent GIF, in base64, in the origin's stead.

const PIXEL = 'R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7';

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  if (request.uri !== '/pixel.gif') return request;
  return {
    status: '200',
    statusDescription: 'OK',
    headers: {
      'content-type': [{ key: 'Content-Type', value: 'image/gif' }],
      'cache-control': [{ key: 'Cache-Control', value: 'public, max-age=3600' }],
    },
    body: PIXEL,
    bodyEncoding: 'base64',
  };
};
