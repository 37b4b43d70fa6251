"""Sessions, questions, errors and detection, against a small server of the recorded protocols."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from aiaa_fixture import RecordedServer
from AIAAClientLib.aiaa_client import AIAAClient
from AIAAClientLib.detection import connect
from AIAAClientLib.model_info import ALL_PROMPTS, DEXTR3D, PROMPTS, SCRIBBLES, SEGMENTATION, ModelInfo, labelValues
from AIAAClientLib.monailabel_client import MONAILabelClient
from AIAAClientLib.nifti import encodeNifti
from AIAAClientLib.segmentation_server import Question
from AIAAClientLib.sessions import Source
from IMeasureLib.http_client import ServerError
from IMeasureLib.jobs import Cancelled

VOXELS = np.random.default_rng(0).integers(0, 1000, (5, 7, 9)).astype(np.int16)
AFFINE = np.array([[0, -0.7, 0, 1], [0.8, 0, 0, 2], [0, 0, 3.0, 3], [0, 0, 0, 1]])
WANTED = VOXELS.mean() < VOXELS


def source(key="a", owner="volume"):
    return Source(key, lambda packed: encodeNifti(VOXELS, AFFINE, packed), AFFINE, (9, 7, 5), owner)


@pytest.fixture(params=["AIAA", "MONAI Label", "both"])
def server(request, odd_server):
    return RecordedServer(odd_server, *(("AIAA", "MONAI Label") if request.param == "both" else (request.param,)))


@pytest.fixture
def aiaa(odd_server):
    return RecordedServer(odd_server, "AIAA")


@pytest.fixture
def monailabel(odd_server):
    return RecordedServer(odd_server, "MONAI Label")


def automatic(connection):
    return next(model for model in connection.models if SEGMENTATION in model.kinds)


AUTO = Question(SEGMENTATION)


# ---- sessions


def test_a_volume_is_sent_once_for_several_questions(server):
    connection = connect(server.address)
    first = connection.client.infer(automatic(connection), AUTO, source())
    second = connection.client.infer(automatic(connection), AUTO, source())
    assert np.array_equal(first.mask, WANTED)
    assert np.array_equal(second.mask, WANTED)
    assert first.sent > VOXELS.nbytes
    assert (second.sent, server.uploads) == (0, 1)


def test_a_session_that_is_gone_is_silently_made_again(server):
    connection = connect(server.address)
    connection.client.infer(automatic(connection), AUTO, source())
    server.sessions.clear()
    said = []
    reply = connection.client.infer(automatic(connection), AUTO, source(), progress=said.append)
    assert np.array_equal(reply.mask, WANTED)
    assert reply.sent > VOXELS.nbytes
    assert server.uploads == 2
    assert "The server no longer has the volume; sending it again." in said


def test_it_is_made_again_once_only(aiaa):
    aiaa.failing = (440, {"detail": "expired"})
    with pytest.raises(ServerError, match="no longer has the volume"):
        AIAAClient(aiaa.address).infer(ModelInfo("organs", "segmentation"), AUTO, source())
    assert aiaa.uploads == 2


def test_a_models_own_error_is_no_reason_to_send_the_volume_again(monailabel):
    client = MONAILabelClient(monailabel.address)
    for status in (400, 404, 500):
        monailabel.failing = (status, {"detail": "The model wants a CT."})
        with pytest.raises(ServerError, match=r"^The server says: The model wants a CT\.$"):
            client.infer(ModelInfo("spleen", "segmentation"), AUTO, source())
    assert monailabel.uploads == 1


def test_a_changed_volume_is_sent_and_the_old_one_dropped(server):
    connection = connect(server.address)
    for key in ("before", "after"):
        connection.client.infer(automatic(connection), AUTO, source(key))
    assert server.uploads == 2
    assert server.deleted == ["session-1"]
    connection.client.infer(automatic(connection), AUTO, source("other", "another volume"))
    assert server.deleted == ["session-1"]
    connection.client.closeSessions()
    assert sorted(server.deleted) == ["session-1", "session-2", "session-3"]


def test_without_sessions_the_volume_goes_with_every_question(server):
    server.keepsSessions = False
    connection = connect(server.address)
    for _ in range(2):
        reply = connection.client.infer(automatic(connection), AUTO, source())
        assert np.array_equal(reply.mask, WANTED)
        assert reply.sent > 0
    assert server.asked[-1][3] in (["image"], ["file"])


def test_two_questions_at_a_time_send_the_volume_once(aiaa):
    client, replies = AIAAClient(aiaa.address), []
    asking = [
        threading.Thread(
            target=lambda: replies.append(client.infer(ModelInfo("organs", "segmentation"), AUTO, source()))
        )
        for _ in range(4)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(20)
    assert len(replies) == 4
    assert aiaa.uploads == 1


def test_cancelling_closes_the_connection(aiaa):
    aiaa.hold = threading.Event()
    cancel, ended = threading.Event(), []

    def ask():
        try:
            AIAAClient(aiaa.address).infer(ModelInfo("organs", "segmentation"), AUTO, source(), cancel)
        except Cancelled as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not aiaa.asked:
        thread.join(0.01)
    cancel.set()
    thread.join(5)
    aiaa.hold.set()
    assert len(ended) == 1


# ---- what is asked


def test_how_aiaa_is_asked(aiaa):
    connection = connect(aiaa.address)
    models = {model.name: model for model in connection.models}
    points = np.array([[1.4, 2.6, 3.0], [0, 0, 0.49]])
    six = np.arange(18.0).reshape(6, 3) % 5
    client = connection.client
    client.infer(models["grow2d"], Question(PROMPTS, positive=points, negative=points[:1]), source())
    client.infer(models["dextr"], Question(DEXTR3D, boundary=six), source())
    client.infer(models["findings"], Question("inference", parameters={"mine": 1}), source())
    asked = {path: (query, params) for path, query, params, _ in aiaa.asked}
    query, params = asked["/v1/deepgrow"]
    assert query == {"model": "grow2d", "session_id": "session-1"}
    assert params == {"foreground": [[1, 3, 3], [0, 0, 0]], "background": [[1, 3, 3]], "current_point": [0, 0, 0]}
    assert asked["/v1/dextr3d"][1] == {"points": six.astype(int).tolist()}
    assert asked["/v1/inference"][1] == {"mine": 1}


def test_how_monailabel_is_asked(monailabel):
    connection = connect(monailabel.address)
    models = {model.name: model for model in connection.models}
    client = connection.client
    line = np.array([[1.0, 1, 2], [3, 2, 2]])
    client.infer(models["edit"], Question(PROMPTS, positive=line), source())
    client.infer(
        models["sam"],
        Question(PROMPTS, negative=line[:1], positiveBoxes=(line,), negativeLassos=(line,), positiveScribbles=(line,)),
        source(),
    )
    label = np.zeros(VOXELS.shape, np.uint8)
    label[1, 2, 3] = 2
    info = {"background_scribbles": 2, "foreground_scribbles": 3}
    client.infer(models["Histogram+GraphCut"], Question(SCRIBBLES, label=label, labelInfo=info), source())
    edit, sam, scribbles = monailabel.asked
    assert edit[0] == "/infer/edit"
    assert edit[1] == {"output": "all", "session_id": "session-1"}
    assert edit[2]["foreground"] == edit[2]["spleen"] == [[1, 1, 2], [3, 2, 2]]
    assert (edit[2]["background"], edit[2]["label"]) == ([], "spleen")
    assert sam[2]["nninter"] == "sam3"
    assert sam[2]["pos_boxes"] == [[[1, 1, 2], [3, 2, 2]]]
    assert sam[2]["neg_points"] == [[1, 1, 2]]
    assert sam[2]["neg_lassos"] == sam[2]["pos_scribbles"] == [[[1, 1, 2], [3, 2, 2]]]
    assert scribbles[0] == "/infer/Histogram+GraphCut"
    assert scribbles[2]["label_info"] == [{"name": name, "id": value} for name, value in info.items()]
    assert scribbles[3] == ["label"]


def test_what_the_models_can_be_asked(server):
    models = {model.name: model for model in connect(server.address).models}
    if "AIAA" in server.protocols:
        assert models["organs"].labels == {"spleen": 1, "liver": 2}
        assert (models["dextr"].kinds, models["dextr"].padding) == ({DEXTR3D}, 20)
        assert (models["grow2d"].dimension, models["grow2d"].prompts) == (2, {"points"})
        assert models["findings"].kinds == {"inference"}
    if "MONAI Label" in server.protocols:
        assert models["edit"].labels == {"spleen": 2}
        assert models["edit"].kinds == {PROMPTS, SEGMENTATION}
        assert (models["sam"].kinds, models["sam"].prompts) == ({PROMPTS}, ALL_PROMPTS)
        assert models["Histogram+GraphCut"].kinds == {SCRIBBLES}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"a": 2, "b": 1, "background": 0}, {"b": 1, "a": 2}),
        ({"1": "a", "2": "b"}, {"a": 1, "b": 2}),
        (["a", "b"], {"a": 1, "b": 2}),
        (["background", "a"], {"a": 1}),
        ("a", {"a": 1}),
        (None, {}),
        ([], {}),
    ],
)
def test_labels_in_all_the_ways_that_servers_write_them(given, wanted):
    assert labelValues(given) == wanted
    assert list(labelValues(given)) == list(wanted)


def test_an_answer_without_a_mask(aiaa):
    aiaa.withMask, aiaa.result = False, {"a": 0.9, "b": 0.1}
    reply = AIAAClient(aiaa.address).infer(ModelInfo("findings", "classification"), Question("inference"), source())
    assert reply.mask is None
    assert reply.result == {"a": 0.9, "b": 0.1}


# ---- trouble


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (413, {}, "The volume is larger than the server takes"),
        (400, {"detail": "Points are outside."}, "The server says: Points are outside."),
        (500, {"detail": "CUDA out of memory"}, "The server says: CUDA out of memory"),
        (422, {"detail": [{"msg": "field required"}]}, "The server says: field required"),
        (504, {}, "gave up waiting"),
    ],
)
def test_errors_are_sentences(aiaa, status, body, sentence):
    aiaa.failing = (status, body)
    with pytest.raises(ServerError, match=sentence):
        AIAAClient(aiaa.address).infer(ModelInfo("organs", "segmentation"), AUTO, source())


@pytest.mark.parametrize("content", [b"--nothing", b""])
def test_a_reply_that_is_none_is_an_error(aiaa, content):
    def broken(handler, _image):
        handler.say(200, content, "multipart/form-data; boundary=x")

    aiaa.mask = broken
    with pytest.raises(ServerError, match="reply"):
        AIAAClient(aiaa.address).infer(ModelInfo("organs", "segmentation"), AUTO, source())


# ---- detection


def test_the_protocol_is_recognised(server):
    connection = connect(server.address)
    assert set(connection.protocols) == server.protocols
    assert connection.address == server.address
    assert len(connection.models) == {"AIAA": 4, "MONAI Label": 5}.get(connection.protocolText, 9)


@pytest.mark.parametrize("path", ["/", "/info/", "/v1/models", "/docs", "/infer/spleen", "/session/"])
def test_the_path_of_a_page_is_taken_off(monailabel, path):
    typed = monailabel.address.replace("http://", "") + path
    assert connect(typed).address == monailabel.address


def test_a_key_is_asked_for_and_sent(aiaa):
    aiaa.key = "right"
    with pytest.raises(ServerError, match="asks for an API key") as asked:
        connect(aiaa.address)
    assert asked.value.status == 401
    with pytest.raises(ServerError, match="does not accept this API key"):
        connect(aiaa.address, "wrong")
    connection = connect(aiaa.address, "right")
    assert connection.client.infer(automatic(connection), AUTO, source()).mask.any()


def test_an_older_imeasure_server_is_told_from_a_stranger(odd_server):
    def imeasure(handler):
        if handler.path == "/":
            handler.say(200, b'{"status": "UP"}')
        else:
            handler.say(405 if handler.path == "/seg" else 404, b'{"detail": "Not Found"}')

    odd_server.answer = imeasure
    with pytest.raises(ServerError, match=r"iMeasure server of an older version .* Update it"):
        connect(odd_server.address)


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (200, b"<html>Hello</html>", "text/html", "neither an AIAA nor a MONAI Label server"),
        (200, b"[1", "application/json", "neither an AIAA nor a MONAI Label server"),
        (200, b'{"a": 1}', "application/json", "neither an AIAA nor a MONAI Label server"),
        (404, b"no", "text/plain", "neither an AIAA nor a MONAI Label server"),
        (504, b"", "text/html", r"gave up waiting \(504\)"),
        (500, b'{"detail": "Model x cannot be loaded."}', "application/json", "Model x cannot be loaded"),
    ],
)
def test_whatever_else_answers_is_told_in_a_sentence(odd_server, status, body, kind, sentence):
    odd_server.answer = lambda handler: handler.say(status, body, kind)
    with pytest.raises(ServerError, match=sentence):
        connect(odd_server.address)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://0.0.0.0:8000/", r"Use http://127\.0\.0\.1:8000"),
        ("http://127.0.0.1:9", "No AIAA or MONAI Label server is running"),
        ("", "Enter the server's address"),
        ("ftp://host", "must begin with http"),
        ("http://no-such-host.invalid:8000", "no machine called"),
    ],
)
def test_what_is_wrong_with_an_address(address, sentence):
    with pytest.raises(ServerError, match=sentence):
        connect(address)
