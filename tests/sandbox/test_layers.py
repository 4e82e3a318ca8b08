"""Layers in a sandbox: seen where AWS puts them, under the function's own files (spec: Layers)."""

import pytest

from tests.sandbox.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

NODE = {
    "index.js": """
        const fs = require('fs');
        exports.handler = async () => ({
          shared: require('shared'), ours: require('ours'), of22: require('of22'), deep: require('deep'),
          data: fs.readFileSync('/opt/data/words.txt', 'utf8'), there: fs.readdirSync('/opt').sort(),
        });
    """,
    "node_modules/ours/index.js": "module.exports = 'the function';",
    ".opt/nodejs/node_modules/ours/index.js": "module.exports = 'the layer';",
    ".opt/nodejs/node_modules/shared/index.js": "module.exports = 'the layer';",
    ".opt/nodejs/node_modules/deep/index.js": "module.exports = `deep and ${require('shared')}`;",
    ".opt/nodejs/node22/node_modules/of22/index.js": "module.exports = 'for Node.js 22';",
    ".opt/data/words.txt": "words",
}


async def test_nodejs_finds_modules_of_layers_behind_the_functions_own(stage: Stage) -> None:
    function = await stage.node(NODE, runtime="nodejs22.x")
    assert await function.result({}) == {
        "shared": "the layer",
        "ours": "the function",
        "of22": "for Node.js 22",
        "deep": "deep and the layer",
        "data": "words",
        "there": ["data", "nodejs"],
    }


PYTHON = {
    "index.py": """
        import sys, ours, shared, exact
        def handler(event, context):
            return [ours.who, shared.who, exact.who, shared.__file__, sys.path[:3], open("/opt/data/words.txt").read()]
    """,
    "ours.py": "who = 'the function'",
    ".opt/python/ours.py": "who = 'the layer'",
    ".opt/python/shared.py": "who = 'the layer'",
    ".opt/python/exact.py": "who = 'the layer'",
    ".opt/python/lib/python3.11/site-packages/exact.py": "who = 'the layer, for 3.11'",
    ".opt/data/words.txt": "words",
}


async def test_python_finds_modules_of_layers_behind_the_functions_own(stage: Stage) -> None:
    function = await stage.python(PYTHON, runtime="python3.11")
    assert await function.result({}) == [
        "the function",
        "the layer",
        "the layer, for 3.11",
        "/opt/python/shared.py",
        ["/var/task", "/opt/python/lib/python3.11/site-packages", "/opt/python"],
        "words",
    ]
