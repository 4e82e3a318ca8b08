// viewer-request: the language that the viewer likes best, of those that there are, becomes part of the path.

const LANGUAGES = ['en', 'de', 'ja'];

function preferred(header) {
  const wishes = header.split(',').map((part) => {
    const found = /^\s*([a-z]+)(?:-[a-z0-9]+)*\s*(?:;\s*q=([\d.]+))?\s*$/i.exec(part);
    return found ? { language: found[1].toLowerCase(), weight: found[2] === undefined ? 1 : parseFloat(found[2]) } : undefined;
  });
  const known = wishes.filter((wish) => wish && wish.weight > 0 && LANGUAGES.includes(wish.language));
  known.sort((one, other) => other.weight - one.weight);
  return known.length > 0 ? known[0].language : LANGUAGES[0];
}

function handler(event) {
  const request = event.request;
  const header = request.headers['accept-language'];
  request.uri = `/${preferred(header ? header.value : '')}${request.uri}`;
  return request;
}
