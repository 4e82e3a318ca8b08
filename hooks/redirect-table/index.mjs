// viewer-request: short addresses from a table that lies beside the code. It is read once, before the first event.

import { readFile } from 'node:fs/promises';

const table = new Map(Object.entries(JSON.parse(await readFile(new URL('./redirects.json', import.meta.url), 'utf8'))));

export async function handler(event) {
  const { request } = event.Records[0].cf;
  const location = table.get(request.uri.replace(/(.)\/$/, '$1'));
  if (location === undefined) return request;
  return { status: '302', statusDescription: 'Found', headers: { location: [{ key: 'Location', value: location }] } };
}
