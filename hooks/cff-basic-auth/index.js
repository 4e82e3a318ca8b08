// viewer-request: a user name and a password.

const EXPECTED = `Basic ${btoa('ada:lovelace')}`;

function handler(event) {
  const request = event.request;
  const given = request.headers.authorization;
  if (given && given.value === EXPECTED) return request;
  return {
    statusCode: 401,
    statusDescription: 'Unauthorized',
    headers: { 'www-authenticate': { value: 'Basic realm="staging", charset="UTF-8"' } },
    body: { encoding: 'text', data: 'A user name and a password, please.\n' },
  };
}
