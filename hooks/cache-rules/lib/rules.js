'use strict';

// By ending; the first that fits counts.
module.exports = [
  [/\.(?:css|js|woff2)$/, 'public, max-age=31536000, immutable'],
  [/\.(?:png|jpg|svg)$/, 'public, max-age=86400'],
  [/\.html$|\/$/, 'public, max-age=60'],
];
