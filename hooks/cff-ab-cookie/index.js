// viewer-request: half of the visitors see the new shop; a cookie keeps each on what they saw first.

const SHARE = 0.5;

function handler(event) {
  const request = event.request;
  const cookie = request.cookies.shop;
  const variant = cookie ? cookie.value : Math.random() < SHARE ? 'new' : 'old';
  request.cookies.shop = { value: variant };
  request.headers['x-shop'] = { value: variant };
  if (variant === 'new') request.uri = `/new${request.uri}`;
  return request;
}
