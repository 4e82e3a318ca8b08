// viewer-response: each cookie of the origin gets the attributes it lacks; one of them is taken out, one put in.

function handler(event) {
  const cookies = event.response.cookies;
  delete cookies.debug;
  for (const name in cookies) {
    const values = cookies[name].multiValue || [cookies[name]];
    cookies[name] = {
      value: values[0].value,
      multiValue: values.map((cookie) => {
        const attributes = cookie.attributes || '';
        const secure = /(^|;)\s*secure/i.test(attributes) ? attributes : `${attributes}; Secure`;
        return { value: cookie.value, attributes: secure.replace(/^; /, '') };
      }),
    };
  }
  cookies.seen = { value: '1', attributes: 'Max-Age=60' };
  return event.response;
}
