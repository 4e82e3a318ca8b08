'use strict';
// viewer-request: no session, no page: off to the sign-in, with the way back.

exports.handler = async ({ Records: [{ cf: { request } }] }) => {
  const cookies = (request.headers.cookie || []).map((line) => line.value).join('; ');
  if (/(?:^|;\s*)session=\w+/.test(cookies)) return request;
  const back = request.uri + (request.querystring ? `?${request.querystring}` : '');
  return {
    status: '302',
    statusDescription: 'Found',
    headers: {
      location: [{ value: `/sign-in?back=${encodeURIComponent(back)}` }],
      'set-cookie': [
        { key: 'Set-Cookie', value: 'session=; Max-Age=0' },
        { key: 'Set-Cookie', value: 'seen=1' },
      ],
    },
  };
};
