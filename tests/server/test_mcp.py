"""The endpoints as tools of the Model Context Protocol: off unless asked for; then listed,
described, one called."""

import asyncio
import base64
import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests import hostile
from tests.conftest import app_with
from tests.server.test_api_page import SECTIONS

INSTALLED = pytest.mark.skipif(
    importlib.util.find_spec("mcp") is None,
    reason="the mcp package is not installed: pip install 'gradio[mcp]'",
)
END = "gradio_api/mcp/"


async def ask(url: str, arguments: dict[str, Any]) -> tuple[list[Any], Any, Any]:
    """(the tools, what classify_digit answers to `arguments`, what it answers to a file of the
    server's)."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with (
        streamablehttp_client(url + END) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        tools = (await session.list_tools()).tools
        answer = await session.call_tool("classify_digit", arguments)
        return tools, answer, await session.call_tool("classify_digit", {"picture": "/etc/passwd"})


@INSTALLED
def test_tools_are_listed_and_called(tmp_path: Path) -> None:
    picture = base64.b64encode(hostile.good_png(tmp_path).read_bytes()).decode()
    with app_with(tmp_path, GRADIO_MCP_SERVER="True") as url:
        asked = ask(url, {"picture": f"data:image/png;base64,{picture}"})
        with ThreadPoolExecutor(1) as pool:  # in this thread Playwright's loop may be running
            tools, answer, refused = pool.submit(asyncio.run, asked).result()
    assert {tool.name for tool in tools} == set(SECTIONS)
    for tool in tools:
        first = tool.description.splitlines()[0]
        assert len(first) > 20 and first[0].isupper(), tool.name
        properties = tool.inputSchema["properties"]
        assert properties and all(p.get("description") for p in properties.values()), tool.name
    assert not answer.isError
    probabilities = json.loads(answer.content[0].text.replace("'", '"'))
    assert max(probabilities, key=probabilities.__getitem__) == "1"
    assert refused.isError and "url" in refused.content[0].text


def test_it_is_off_unless_asked_for(app_url: str) -> None:
    import urllib.error
    import urllib.request

    call = urllib.request.Request(
        app_url + END,
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/list"}',
        {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(call, timeout=10)
    assert refused.value.code in (404, 405)
    refused.value.close()
