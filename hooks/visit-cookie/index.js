'use strict';
// viewer-response: remembers the A/B variant in a cookie.

exports.handler = async (event) => {
  const { request, response } = event.Records[0].cf;
  const variant = request.headers['x-variant'];
  if (variant) {
    const cookies = response.headers['set-cookie'] || [];
    cookies.push({ key: 'Set-Cookie', value: `variant=${variant[0].value}; Path=/; Max-Age=86400` });
    response.headers['set-cookie'] = cookies;
  }
  response.headers['x-visit'] = [{ key: 'X-Visit', value: 'welcome' }];
  return response;
};
