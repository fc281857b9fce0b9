"""The server: routes, limits, batches across clients, and everything that must not get through."""

import asyncio
import json
import re
import sys
import time
from dataclasses import replace

import pytest

from text_length_classifier import LIMITS, TOKEN, Lengths

pytest.importorskip("fastapi", reason="needs the extra serve")
from starlette.testclient import TestClient

from ftcls.cli.app import run
from ftcls.data.texts import PLAIN
from ftcls.errors import ConfigError, UnavailableError
from ftcls.scoring import occlusion
from ftcls.serving import page, server
from ftcls.serving.app import Service, create
from ftcls.serving.batches import Batcher, Overloaded
from ftcls.serving.guard import Guard
from ftcls.serving.server import Address, describe


def client_of(classifier, limits=LIMITS, *, token=None, local=True, **more):
    service = Service(classifier, limits, describe(classifier, "nowhere", limits, PLAIN), PLAIN)
    return TestClient(
        Guard(create(service), limits=limits, token=token, local=local), base_url="http://localhost", **more
    )


@pytest.fixture
def classifier():
    return Lengths()


@pytest.fixture
def client(classifier):
    with client_of(classifier) as made:
        yield made


# --- routes


def test_one_text_and_several_are_answered_in_order(client):
    assert client.post("/predict", json={"text": "hello"}).json() == {
        "predictions": [
            {"labels": ["short"], "probabilities": {"short": 0.5, "long": 0.5}, "tokens": 5, "truncated": False}
        ]
    }
    found = client.post("/predict", json={"texts": ["a", "something longer", ""]}).json()["predictions"]
    assert [each["labels"] for each in found] == [["short"], ["long"], ["short"]]
    assert [each["truncated"] for each in found] == [False, True, False]
    assert client.post("/predict", json={"texts": []}).json() == {"predictions": []}


def test_words_are_weighed_by_leaving_them_out(client):
    found = client.post("/words", json={"text": "abcd  ef"}).json()
    assert (found["label"], found["probability"]) == ("long", 0.8)
    assert [(word["start"], word["end"]) for word in found["words"]] == [(0, 4), (6, 8)]
    weights = [word["weight"] for word in found["words"]]
    assert weights[0] > weights[1] > 0  # the longer word makes the text longer
    against = client.post("/words", json={"text": "abcd  ef", "label": "short"}).json()["words"]
    assert [word["weight"] for word in against] == pytest.approx([-weight for weight in weights])
    assert client.post("/words", json={"text": " "}).json()["words"] == []
    refused = client.post("/words", json={"text": "a", "label": "medium"})
    assert (refused.status_code, refused.json()) == (422, {"detail": "label: 'medium' is none of the model's"})


def test_a_csv_comes_back_with_its_rows_in_order(client, classifier):
    rows = [f"row {n},{n}" for n in range(9)]
    sent = "\n".join(["text,id", *rows, "broken", "last one,10"])
    answer = client.post("/predict/file", content=sent, headers={"Content-Type": "text/csv; charset=utf-8"})
    assert answer.status_code == 200
    lines = answer.text.splitlines()
    assert lines[0] == "text,id,label,probability_short,probability_long"
    assert [line.split(",")[1] for line in lines[1:]] == [*map(str, range(9)), "", "10"]
    assert lines[-2] == "broken,,,,"
    assert max(classifier.batches) <= LIMITS.together
    other = client.post("/predict/file?text_column=id", content=sent, headers={"Content-Type": "text/csv"})
    assert other.text.splitlines()[-1] == "last one,10,short,0.8,0.2"


def test_a_csv_comes_back_without_formulas_when_asked(client):
    sent, kind = "text,id\n=1+1,-5\n", {"Content-Type": "text/csv"}
    assert client.post("/predict/file", content=sent, headers=kind).text.splitlines()[1].startswith("=1+1,-5,")
    safe = client.post("/predict/file?safe_cells=true", content=sent, headers=kind).text
    assert safe.splitlines()[1].startswith("'=1+1,-5,")


@pytest.mark.parametrize(
    ("content", "kind", "status", "message"),
    [
        (b"text\nx\n", "application/json", 415, "curl --data-binary"),
        (b"text\n\xff\n", "text/csv", 422, "not UTF-8: byte 0xff at 5"),
        (b"text\na\0b\n", "text/csv", 422, "null character"),
        (b"body\nx\n", "text/csv", 422, "the file: no column 'text'"),
        (b"", "text/csv", 422, "is empty"),
        (b"text\n" + b"x\n" * 51, "text/csv", 422, "more than 50 rows"),
        (b"text\n" + b"x" * 1_001, "text/csv", 422, "1,001 characters, at most 1,000"),
        (b"text,label\nx,y\n", "text/csv", 422, "has a column 'label' already"),
    ],
)
def test_a_csv_that_cannot_be_labelled_is_one_message(client, content, kind, status, message):
    answer = client.post("/predict/file", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert message in answer.json()["detail"]


def test_the_model_is_described(client):
    found = client.get("/model").json()
    assert (found["name"], found["labels"], found["positive_label"]) == ("nowhere", ["short", "long"], "long")
    assert (found["thresholds"], found["scores"], found["max_length"]) == (None, None, 12)
    assert found["truncation"] == "head"
    assert found["limits"] == {"characters": 1_000, "texts": 8, "rows": 50, "body_bytes": 20_000}


def test_the_state_can_be_asked(client):
    assert (client.get("/health").status_code, client.get("/ready").json()) == (200, {"status": "ready"})


def test_the_api_describes_itself_without_anything_from_elsewhere(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {"/predict", "/words", "/predict/file", "/health", "/ready", "/model"}
    assert client.get("/docs").status_code == 404


def test_the_description_says_the_limits_of_this_server(client):
    described = client.get("/openapi.json").json()
    one, several = described["components"]["schemas"]["Texts"]["oneOf"]
    assert (one["required"], several["required"]) == (["text"], ["texts"])
    assert one["properties"]["text"]["maxLength"] == 1_000
    assert several["properties"]["texts"]["maxItems"] == 8
    assert described["components"]["schemas"]["WordsRequest"]["properties"]["label"]["enum"] == ["short", "long", None]
    assert "securitySchemes" not in described["components"]
    csv = described["paths"]["/predict/file"]["post"]["requestBody"]["content"]["text/csv"]
    assert re.search(csv["schema"]["pattern"], csv["example"].rstrip("\n"))
    assert client.post("/predict/file", content=csv["example"], headers={"Content-Type": "text/csv"}).status_code == 200


def test_a_column_that_is_asked_for_and_not_there_is_404(client):
    answer = client.post("/predict/file?text_column=body", content="text\na", headers={"Content-Type": "text/csv"})
    assert answer.status_code == 404
    assert "the file: no column 'body'" in answer.json()["detail"]
    assert "name the column with ?text_column=" in answer.json()["detail"]


def test_a_bug_is_an_error_of_its_own_request_only(classifier):
    with client_of(classifier, raise_server_exceptions=False) as client:
        assert client.post("/predict", json={"text": "fail"}).status_code == 500
        assert client.post("/predict", json={"text": "fine"}).status_code == 200

    async def ask_together():
        batcher = batcher_of(classifier)
        batcher.start()
        found = await asyncio.gather(*(batcher.submit([text]) for text in ("a", "fail", "b")), return_exceptions=True)
        await batcher.stop()
        return found

    first, failed, last = asyncio.run(ask_together())
    assert (first[0].labels, last[0].labels) == (("short",), ("short",))
    assert isinstance(failed, RuntimeError)


# --- the page


def test_the_page_has_nothing_from_elsewhere_and_a_policy_that_keeps_it_so(client):
    answer = client.get("/")
    html, policy = page.render(describe(Lengths(), "nowhere", LIMITS, PLAIN))
    assert answer.text == html
    assert answer.headers["content-security-policy"] == policy
    assert "unsafe" not in policy
    assert policy.count("sha256-") == 2
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html
    assert " style=" not in html  # the policy would drop it


def test_a_name_on_the_page_is_text(client):
    html, _ = page.render(replace_name("<script>alert(1)</script>"))
    assert "<script>alert" not in html


def replace_name(name):
    return describe(Lengths(), "nowhere", LIMITS, PLAIN).model_copy(update={"name": name})


# --- what must not get through


def malformed():
    """At least 200 requests, none of which is one: method, path, headers, body."""
    wrong = [None, True, 0, 1.5, [], {}, [[]], [None], [1], {"a": 1}, "\ud800", "a\0b", "x" * 1_001]
    bodies = [json.dumps(value).encode() for value in wrong if not isinstance(value, str)]
    bodies += [json.dumps({key: value}).encode() for key in ("text", "texts", "Text") for value in wrong]
    bodies += [json.dumps({"texts": [value]}).encode() for value in wrong]
    bodies += [
        json.dumps({"text": "a", key: value}).encode() for key in ("texts", "x", "top") for value in ("a", 1, [])
    ]
    bodies += [b"", b"{", b"}", b"nul", b"\xff\xfe", b"\0", b'{"text": "\xff"}', b'{"text": "\xed\xa0\x80"}', b"NaN"]
    bodies += [b'{"text": "' + b"\0" * 10 + b'"}', b"\xef\xbb\xbf{}", b"text=a", b"<a/>", b"--x\r\n\r\n--x--"]
    bodies += [opening * depth for opening in (b"[", b'{"text":', b'{"texts":[') for depth in (100, 1_000)]
    bodies += [b'{"texts": ' + b"[" * n + b"]" * n + b"}" for n in (2, 500, 5_000)]
    bodies += [json.dumps({"texts": ["a"] * 9}).encode(), b"x" * 20_001, b'{"text": "' + b"x" * 30_000 + b'"}']
    # `texts: []` and `texts: null` beside nothing else, and unknown keys beside a text: see `valid`
    for path in ("/predict", "/words"):
        for body in bodies:
            yield "POST", path, {"Content-Type": "application/json"}, body
    for kind in (
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=x y",
    ):
        yield "POST", "/predict/file", {"Content-Type": kind}, b"text\nx\n"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        yield "POST", "/predict", {"Content-Type": kind}, b'{"text": "a"}'
    tricks = [
        "/../etc/passwd",
        "/..%2f..%2fetc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/predict/../../x",
    ]
    tricks += [
        "/predict%00",
        "/%00",
        "/.git/config",
        "/page.py",
        "/static/../app.py",
        "/predict/file/..%5c..%5cx",
        "/%ff",
    ]
    tricks += ["/predict/", "/Predict", "/predict;x", "/\\..\\..", "/file:///etc/passwd", "/" + "a" * 5_000]
    for path in tricks:
        yield "GET", path, {}, b""
    for path in ("/predict", "/words", "/predict/file"):
        for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE"):
            yield method, path, {}, b""
    for path in ("/", "/health", "/model", "/ready", "/openapi.json"):
        for method in ("POST", "PUT", "DELETE"):
            yield method, path, {}, b""
    yield "POST", "/predict", {"Content-Type": "application/json", "Content-Length": "999999999"}, b"{}"
    yield "POST", "/predict", {"Content-Type": "application/json", "Host": "evil.example"}, b'{"text": "a"}'


def valid(path, body):
    """What stands among the malformed bodies and is none."""
    return path == "/predict" and body == b'{"texts": []}'


def test_malformed_requests_are_refused_and_stop_nothing(client):
    tried = 0
    described = client.get("/openapi.json").json()["paths"]
    for method, path, headers, body in malformed():
        if valid(path, body):
            continue
        answer = client.request(method, path, headers=headers, content=body, follow_redirects=False)
        assert 400 <= answer.status_code < 500, (method, path[:80], body[:80], answer.status_code)
        if path in described and method.lower() in described[path]:
            assert str(answer.status_code) in described[path][method.lower()]["responses"], (path, body[:80])
            assert isinstance(answer.json()["detail"], str)
        assert len(answer.content) < 2_000  # nothing that was sent is sent back
        tried += 1
    assert tried >= 200
    assert client.post("/predict", json={"text": "hello"}).status_code == 200


def test_a_body_of_unknown_length_is_cut_off_at_the_limit(client):
    sent = 0

    def endless():
        nonlocal sent
        while sent < 10_000_000:
            sent += 1_000
            yield b"x" * 1_000

    assert client.post("/predict", content=endless()).status_code == 413


def test_a_body_that_never_ends_is_given_up():
    limits = replace(LIMITS, timeout=0.05)
    sent = []

    async def receive():
        await asyncio.sleep(10)

    async def send(message):
        sent.append(message)

    guard = Guard(lambda *_: None, limits=limits, token=None, local=True)
    scope = {"type": "http", "path": "/predict", "headers": [(b"host", b"localhost")]}
    asyncio.run(guard(scope, receive, send))
    assert sent[0]["status"] == 408


def test_nobody_works_for_a_client_that_hung_up():
    messages = [{"type": "http.request", "body": b"{}"}, {"type": "http.disconnect"}]
    ended = []

    async def receive():
        return messages.pop(0)

    async def working(scope, receive, send):
        try:
            await asyncio.sleep(10)
        finally:
            ended.append("given up")

    guard = Guard(working, limits=LIMITS, token=None, local=True)
    scope = {"type": "http", "path": "/predict", "headers": [(b"host", b"localhost")]}
    asyncio.run(guard(scope, receive, lambda message: None))
    assert ended == ["given up"]
    assert (guard.taken, guard.answered) == (1, 0)


def test_a_csv_that_takes_too_long_is_given_up(classifier):
    limits = replace(LIMITS, rows=1_000, timeout=0.01)
    with client_of(classifier, limits) as client:
        classifier.may_go.clear()
        answer = client.post("/predict/file", content="text\n" + "x\n" * 500, headers={"Content-Type": "text/csv"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        classifier.may_go.set()
    assert sum(classifier.batches) <= LIMITS.together


def test_a_token_is_asked_for_everywhere_but_at_the_door(classifier):
    with client_of(classifier, token=TOKEN, local=False) as client:
        for path in ("/", "/health", "/ready"):
            assert client.get(path).status_code == 200
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer \xff"},
        ):
            refused = client.get("/model", headers={k: v.encode("latin-1") for k, v in headers.items()})
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert client.post("/predict", json={"text": "a"}).status_code == 401
        assert client.get("/model", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_another_name_for_this_machine_is_refused(client):
    # A page of the web whose own name points to 127.0.0.1 must not be able to use the server.
    own = ("localhost:8000", "127.0.0.1", "127.3.2.1:80", "[::1]:8000", "[::1]")
    others = ("evil.example:8000", "localhost.evil.example", "10.0.0.1", "", "localhost:8000:1")
    for host, status in (*((name, 200) for name in own), *((name, 400) for name in others)):
        assert client.get("/health", headers={"Host": host}).status_code == status


def test_no_other_page_may_read_an_answer(client):
    answer = client.get("/model", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_server_that_others_can_reach_wants_a_token():
    with pytest.raises(ConfigError, match=r"--host 0\.0\.0\.0: others can reach it; set a token"):
        Address("0.0.0.0", 0, None)
    with pytest.raises(ConfigError, match="FTCLS_TOKEN: must be at least 16 plain characters"):
        Address("0.0.0.0", 0, "short")
    assert Address("0.0.0.0", 0, TOKEN).token == TOKEN
    for host in ("127.0.0.1", "localhost", "::1", "127.3.2.1"):
        Address(host, 0, None)


def test_a_port_that_is_taken_is_one_error(classifier):
    with server._listening(Address("127.0.0.1", 0, None)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UnavailableError, match=f"--port {port}: .*choose another --port"):
            server._listening(Address("127.0.0.1", port, None))


def test_the_command_refuses_before_it_loads_anything(capsys, monkeypatch):
    monkeypatch.delenv("FTCLS_TOKEN", raising=False)
    assert run(["serve", "nowhere", "--host", "0.0.0.0"]) == 2
    assert "set a token for them first" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "ftcls.serving.server")
    monkeypatch.delattr("ftcls.serving.server")
    assert run(["serve", "nowhere"]) == 4
    assert 'uvicorn is not installed; run\n  pip install -c constraints.txt "ftcls[serve]"' in capsys.readouterr().err


# --- batches


def batcher_of(classifier, **more):
    return Batcher(classifier, **{"waiting": 100, "together": 8, "delay": 0.02, **more})


def test_requests_of_several_clients_go_through_the_model_together(classifier):
    async def ask():
        batcher = batcher_of(classifier)
        batcher.start()
        found = await asyncio.gather(*(batcher.submit([f"{n}" * n]) for n in range(1, 9)))
        await batcher.stop()
        return found

    found = asyncio.run(ask())
    assert [each[0].labels[0] for each in found] == ["short"] * 5 + ["long"] * 3
    assert classifier.batches == [8]


def test_a_long_request_does_not_hold_up_a_short_one(classifier):
    async def ask():
        batcher = batcher_of(classifier)
        batcher.start()
        order = []

        async def one(name, texts):
            found = await batcher.submit(texts)
            assert [each.tokens for each in found] == [len(text) for text in texts]
            order.append(name)

        await asyncio.gather(one("long", ["x" * n for n in range(40)]), one("short", ["y"]))
        await batcher.stop()
        return order

    assert asyncio.run(ask()) == ["short", "long"]
    assert sum(classifier.batches) == 41
    assert max(classifier.batches) == 8


def test_a_full_queue_says_so_and_recovers(classifier):
    async def ask():
        batcher = batcher_of(classifier, waiting=10, together=4, delay=0)
        batcher.start()
        classifier.may_go.clear()
        first = asyncio.create_task(batcher.submit(["a"] * 4))
        await asyncio.sleep(0)
        while batcher.waiting:  # until the model has taken it
            await asyncio.sleep(0.001)
        waiting = [asyncio.create_task(batcher.submit(["b"])) for _ in range(10)]
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="too many texts are waiting; try again in 1 s"):
            await batcher.submit(["c"])
        classifier.may_go.set()
        await asyncio.gather(first, *waiting)
        assert len(await batcher.submit(["d"])) == 1
        await batcher.stop()

    asyncio.run(ask())


def test_a_request_that_is_given_up_is_not_worked_on(classifier):
    async def ask():
        batcher = batcher_of(classifier, delay=0, together=1)
        batcher.start()
        classifier.may_go.clear()
        first = asyncio.create_task(batcher.submit(["a"]))
        await asyncio.sleep(0.01)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batcher.submit(["b"] * 5), 0.01)
        classifier.may_go.set()
        await first
        await batcher.stop()
        assert batcher.waiting == 0

    asyncio.run(ask())
    assert classifier.batches == [1]


def test_stopping_finishes_what_was_accepted_and_takes_no_more(classifier):
    async def ask():
        batcher = batcher_of(classifier, delay=0, together=2)
        batcher.start()
        classifier.may_go.clear()
        accepted = [asyncio.create_task(batcher.submit([f"{n}"] * 3)) for n in range(5)]
        await asyncio.sleep(0.01)
        stopping = asyncio.create_task(batcher.stop())
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="try again"):
            await batcher.submit(["late"])
        classifier.may_go.set()
        found = await asyncio.gather(*accepted)
        await stopping
        return found

    assert [len(each) for each in asyncio.run(ask())] == [3] * 5


def test_overload_is_503_with_the_time_to_wait(classifier):
    with client_of(classifier, replace(LIMITS, waiting=0)) as client:
        answer = client.post("/predict", json={"text": "a"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "too many texts are waiting" in answer.json()["detail"]
        assert client.get("/ready").status_code == 503


def test_a_request_that_takes_too_long_is_503(classifier):
    with client_of(classifier, replace(LIMITS, timeout=0.05)) as client:
        classifier.may_go.clear()
        begun = time.monotonic()
        assert client.post("/predict", json={"text": "a"}).status_code == 503
        assert time.monotonic() - begun < 5
        classifier.may_go.set()


# --- words


def test_a_long_text_is_weighed_several_words_at_a_time():
    text = " ".join(f"w{n}" for n in range(1_000))
    spans = occlusion.spans([text])
    assert len(spans) <= occlusion.MOST
    assert " ".join(text[each.start : each.end] for each in spans) == text
    assert occlusion.without(["ab cd ef", "x"], [occlusion.Span(0, 3, 5)]) == [("ab  ef", "x")]


def test_a_certain_label_has_weights_that_end():
    (part,) = occlusion.weighed([occlusion.Span(0, 0, 1)], 1.0, [0.0])
    assert 0 < part.weight < 50
