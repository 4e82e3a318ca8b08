"""`edgefn dev`: a change of the files is live a moment later, code that does not start changes nothing."""

import signal
from pathlib import Path

from tests.cli.running import Running
from tests.cli.test_serve import command, configuration
from tests.free_ports import free_port

CODE = "exports.handler = async () => { console.log('WORD ran'); return {word: 'WORD'}; };\n"


async def test_each_change_of_the_files_is_live_and_the_log_is_shown(tmp_path: Path) -> None:
    config = configuration(tmp_path, "127.0.0.1:1", admin=free_port())
    code = tmp_path / "fn" / "index.js"
    code.parent.mkdir()
    code.write_text(CODE.replace("WORD", "one"))
    run = ("invoke", "f:live", "--sample", "viewer-request", "--config", config)
    async with Running("serve", config) as location:
        await location.url()
        async with Running("dev", code.parent, "--name", "f", "--runtime", "js", "--config", config) as dev:
            assert "is live after" in await dev.says("f:1 ")
            code.write_text(CODE.replace("WORD", "second"))
            assert "is live after" in await dev.says("f:2 ")
            status, told = await command(*run)
            assert (status, '"word": "second"' in told) == (0, True), told
            assert "fra1 f:2" in await dev.says("second ran")
            code.write_text("let a = 1\nlet b = nothing.there\n")
            assert "does not start" in await dev.says("nothing is not defined")
            status, told = await command(*run)
            assert (status, '"word": "second"' in told) == (0, True), told
            dev.send(signal.SIGINT)
            assert await dev.ended() == 130
