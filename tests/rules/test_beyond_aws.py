"""What `check --strict` says of a configuration: what holds here, and has no place at AWS."""

from edgefn.configuration.loader import load
from edgefn.rules.beyond_aws import beyond_aws

TEXT = """
location: fra1
listen: 127.0.0.1:8080
origins: {app: {url: "http://127.0.0.1:9000"}}
functions:
  cff: {path: a.js, runtime: cloudfront-js-2.0}
  set: {path: a.js, runtime: cloudfront-js-1.0, environment: {STAGE: x}, network: ["example.com:443"]}
  node: {path: b.js, runtime: nodejs22.x}
  node-set: {path: b.js, runtime: nodejs22.x, environment: {STAGE: x}}
  guest: {path: c.wasm, runtime: wasm}
routes:
  - {path: /one, origin: app, hooks: {viewer-request: cff, origin-request: node, viewer-response: cff}}
  - {path: /two, origin: app, hooks: {viewer-request: cff, viewer-response: node}}
  - {path: "*", origin: app, hooks: {viewer-request: node, viewer-response: guest}}
"""


def test_each_setting_beyond_aws_is_named_with_its_key() -> None:
    assert list(beyond_aws(load(TEXT, filename="e.yaml", base="/srv"))) == [
        "functions.set.environment: CloudFront Functions have no environment variables of their own at AWS",
        "functions.set.network: CloudFront Functions reach no network; it has no effect",
        "functions.node-set.environment: Lambda@Edge functions have no environment variables of their own at AWS",
        "functions.guest.runtime: AWS has no runtime wasm",
        "routes[1].hooks: at AWS the functions at both viewer events are of one kind: cff and node are not",
    ]


def test_of_published_functions_nothing_is_said_as_nothing_is_known() -> None:
    hooks = "{viewer-request: cff, viewer-response: 'greet:live'}"
    text = TEXT.replace("routes:", f"routes:\n  - {{path: /published, origin: app, hooks: {hooks}}}", 1)
    assert [line for line in beyond_aws(load(text, filename="e.yaml", base="/srv")) if "routes[0]" in line] == []
