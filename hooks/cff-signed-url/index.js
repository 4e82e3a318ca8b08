// viewer-request: links to downloads carry a signature and run out.
var crypto = require('crypto');

var KEY = 'not a secret in a demo';

function refused(why) {
  return { statusCode: 403, statusDescription: 'Forbidden', headers: { 'x-why': { value: why } } };
}

function handler(event) {
  var request = event.request;
  var expires = request.querystring.expires;
  var signature = request.querystring.signature;
  if (!expires || !signature) return refused('not signed');
  var expected = crypto.createHmac('sha256', KEY).update(request.uri + ':' + expires.value).digest('hex');
  if (signature.value !== expected) return refused('wrong signature');
  if (parseInt(expires.value, 10) * 1000 < Date.now()) return refused('run out');
  request.querystring = {};
  return request;
}
