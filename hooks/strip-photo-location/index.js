'use strict';
// origin-request with include_body: takes the EXIF data, and so the place, out of uploaded JPEG photos.

const START_OF_IMAGE = 0xffd8;
const START_OF_SCAN = 0xda;
const EXIF = 0xe1;

function withoutExif(photo) {
  const kept = [photo.subarray(0, 2)];
  let at = 2;
  while (at + 4 <= photo.length && photo[at] === 0xff && photo[at + 1] !== START_OF_SCAN) {
    const end = at + 2 + photo.readUInt16BE(at + 2);
    if (photo[at + 1] !== EXIF) kept.push(photo.subarray(at, end));
    at = end;
  }
  kept.push(photo.subarray(at));
  return Buffer.concat(kept);
}

exports.handler = (event, context, callback) => {
  const { request } = event.Records[0].cf;
  const photo = Buffer.from(request.body.data, request.body.encoding);
  if (photo.length < 4 || photo.readUInt16BE(0) !== START_OF_IMAGE) {
    callback(null, request);
    return;
  }
  if (request.body.inputTruncated) {
    callback(null, { status: '413', statusDescription: 'Content Too Large', body: 'This photo is too large.\n' });
    return;
  }
  request.body.action = 'replace';
  request.body.data = withoutExif(photo).toString('base64');
  callback(null, request);
};
