"""A local server's own key: made for each start, told by the environment alone, forgotten with the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import REPOSITORY
from IMeasureLib.http_client import ServerError
from IMeasureLib.local_server import LocalServer
from IMeasureLib.server_installation import ServerInstallation
from IMeasureLib.settings import Settings
from test_lib_local_server import HAS_SERVER_PYTHON, SERVER_PYTHON
from VHSAnalyzerLib.client import VHSClient

if HAS_SERVER_PYTHON:

    def test_a_local_server_has_a_key_that_nobody_types(tmp_path):
        installation = ServerInstallation(REPOSITORY / "IMeasure", tmp_path / "settings", str(SERVER_PYTHON))
        server, settings = LocalServer(installation), Settings(environment={})
        settings.serverURL = server.start(SERVER_PYTHON)
        try:
            assert settings.apiKey == server.key != ""
            assert settings.typedKey == ""
            assert VHSClient(settings.serverURL, settings.apiKey).health().modelVersion
            with pytest.raises(ServerError, match="does not accept this API key"):
                VHSClient(settings.serverURL, "another").health()
            command = Path(f"/proc/{server._process.pid}/cmdline")
            assert not command.is_file() or server.key not in command.read_text()
            assert server.key not in server.log()
        finally:
            server.stop()
        assert settings.apiKey == ""
