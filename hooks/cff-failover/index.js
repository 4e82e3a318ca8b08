// viewer-request: reports come from one of two origins, the second one when the first fails.
import cf from 'cloudfront';

function handler(event) {
  cf.createRequestOriginGroup({
    originIds: ['broken', 'app'],
    failoverCriteria: { statusCodes: [500, 502, 503, 504] },
  });
  return event.request;
}
