"""Which server is used: what settings, environment and console say, whose key it gets, and who hears of it."""

from __future__ import annotations

import pytest

from aiaa_fixture import RecordedServer
from AIAAClientLib.client_settings import ENVIRONMENT_URL, ClientSettings
from AIAAClientLib.logic import AIAAClientLogic
from IMeasureLib.http_client import ServerError
from IMeasureLib.settings import MemoryStore


@pytest.fixture
def server(odd_server):
    return RecordedServer(odd_server, "AIAA", "MONAI Label")


@pytest.fixture
def logic(scene, server):
    return AIAAClientLogic(ClientSettings(environment={ENVIRONMENT_URL: server.address}), scene=scene)


def test_listeners_hear_of_servers(logic, server):
    heard = []
    logic.addListener(lambda: heard.append(logic.connection is not None))
    logic.connect()
    logic.connect()
    assert heard == [True]
    heard.clear()
    assert [model.name for model in logic.knownModels("dextr3d")] == ["dextr"]
    assert {model.name for model in logic.models("segmentation")} == {"organs", "spleen", "edit", "edit_organs"}
    server.protocols.clear()
    job = logic.requestConnection(pytest.fail, lambda error: heard.append(str(error)))
    assert logic.isConnecting
    job.wait(20)
    assert not logic.isConnecting
    assert heard[:2] == [True, False]  # that it is being asked, and that there is none any more
    assert "neither an AIAA nor a MONAI Label server" in heard[2]
    assert logic.connectionTrouble == heard[2]


def test_connecting_from_the_console_changes_the_settings_only_when_it_worked(scene, server):
    logic = AIAAClientLogic(ClientSettings(MemoryStore(), {}), scene=scene)
    with pytest.raises(ServerError, match="is running"):
        logic.connect("http://127.0.0.1:9")
    assert logic.settings.serverURL == "http://127.0.0.1:8000"
    server.key = "secret"
    connection = logic.connect(server.address.replace("http://", "") + "/v1/models", "secret")
    assert logic.settings.serverURL == connection.address == server.address
    assert logic.settings.apiKey == "secret"
    assert logic.settings.history == [server.address]
    assert logic.connection is connection


def test_an_address_of_the_environment_stays(logic, server):
    with pytest.raises(ServerError, match="AIAA_SERVER_URL says that the server is"):
        logic.connect("http://127.0.0.1:9")
    assert logic.connect().address == server.address


def test_a_key_belongs_to_its_server():
    settings = ClientSettings(MemoryStore(), {"IMEASURE_API_KEY": "shared"})
    assert settings.apiKey == "shared"
    settings.serverURL = "http://hospital:5000"
    assert settings.apiKey == ""
    settings.apiKey = "theirs"
    assert settings.apiKey == "theirs"
    settings.serverURL = "http://other:5000"
    assert settings.apiKey == ""
    assert settings.keyFor("hospital:5000/") == "theirs"
    settings.serverURL = "http://127.0.0.1:8000"
    assert settings.apiKey == "shared"


def test_without_an_address_of_its_own_the_server_is_imeasures():
    store = MemoryStore({"IMeasure/ServerURL": "http://shared:1"})
    settings = ClientSettings(store, {})
    assert settings.serverURL == "http://shared:1"
    settings.serverURL = "http://own:2"
    assert settings.serverURL == "http://own:2"
    settings.serverURL = "http://shared:1/"
    store.setValue("IMeasure/ServerURL", "http://moved:3")
    assert settings.serverURL == "http://moved:3"
    assert ClientSettings(store, {ENVIRONMENT_URL: "http://env:4"}).isServerURLFromEnvironment


def test_the_history_has_the_newest_first_and_ends():
    settings = ClientSettings(MemoryStore(), {})
    for number in range(12):
        settings.remember(f"http://host{number}:1")
    settings.remember("http://host9:1")
    assert settings.history[:3] == ["http://host9:1", "http://host11:1", "http://host10:1"]
    assert len(settings.history) == 8
