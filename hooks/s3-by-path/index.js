'use strict';
// origin-request: pictures come from a bucket, everything else from the configured origin.

const BUCKET = 'pictures.s3.us-east-1.amazonaws.com';

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  if (!request.uri.startsWith('/pictures/')) return request;
  request.origin = {
    s3: {
      domainName: BUCKET,
      region: '',
      authMethod: 'none',
      path: '',
      customHeaders: {},
    },
  };
  request.headers.host = [{ key: 'Host', value: BUCKET }];
  request.uri = request.uri.replace(/^\/pictures/, '');
  return request;
};
