// viewer-response: sets the cookie that cff-ab-cookie decided on.

function handler(event) {
  const response = event.response;
  const shop = event.request.cookies.shop;
  if (shop) response.cookies.shop = { value: shop.value, attributes: 'Path=/; Max-Age=2592000; Secure; HttpOnly' };
  return response;
}
