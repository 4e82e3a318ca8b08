// viewer-request: one cache key for many spellings of a query: known parameters only, in order, in lower case.
import qs from 'querystring';

const KNOWN = ['page', 'q', 'sort'];

function handler(event) {
  const request = event.request;
  const given = qs.parse(request.rawQueryString() || '');
  const pairs = [];
  Object.keys(given).sort().forEach((name) => {
    const plain = name.toLowerCase();
    if (!KNOWN.includes(plain)) return;
    const values = Array.isArray(given[name]) ? given[name] : [given[name]];
    values.forEach((value) => { pairs.push(`${plain}=${qs.escape(value.trim().toLowerCase())}`); });
  });
  request.querystring = pairs.join('&');
  return request;
}
