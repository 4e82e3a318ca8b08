'use strict';
// viewer-request: the front page in the visitor's language.

const SPOKEN = ['en', 'de', 'fr'];

exports.handler = (event, context, callback) => {
  const request = event.Records[0].cf.request;
  if (request.uri !== '/') return callback(null, request);
  const accepted = request.headers['accept-language'] ? request.headers['accept-language'][0].value : '';
  const wanted = accepted
    .split(',')
    .map((item) => {
      const [tag, quality] = item.trim().split(';q=');
      return { language: tag.slice(0, 2).toLowerCase(), quality: quality === undefined ? 1 : Number(quality) };
    })
    .sort((x, y) => y.quality - x.quality)
    .map((item) => item.language);
  const language = wanted.find((item) => SPOKEN.includes(item)) || 'en';
  return callback(null, {
    status: '307',
    statusDescription: 'Temporary Redirect',
    headers: { location: [{ key: 'Location', value: `/${language}/` }], vary: [{ key: 'Vary', value: 'Accept-Language' }] },
  });
};
