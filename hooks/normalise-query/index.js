'use strict';
// viewer-request: one cache key for ?b=2&A=1 and ?a=1&b=2, and none for trackers.

const querystring = require('querystring');

exports.handler = async (event) => {
  const request = event.Records[0].cf.request;
  const given = querystring.parse(request.querystring);
  const kept = {};
  for (const name of Object.keys(given).sort((x, y) => x.toLowerCase().localeCompare(y.toLowerCase()))) {
    if (!name.startsWith('utm_')) kept[name.toLowerCase()] = given[name];
  }
  request.querystring = querystring.stringify(kept);
  return request;
};
