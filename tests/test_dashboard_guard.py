"""Who the dashboard answers: its own names on its own paths, tunnels and proxies that were named.

Run against the server as it is started, and in a browser to which a foreign name leads here.
"""

from __future__ import annotations

import http.client
import socket
import threading
from urllib.parse import urlsplit

import pytest

import residuals_toy as toy
from browsing import CHROMIUM, FLAGS, PATIENCE, Site, needs_browser, start

pytestmark = pytest.mark.browser
UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}
PATHS = (
    "/", "/?page=store", "/pdf", "/alive", "/check", "/script/bokeh.js", "/product/0000000000.nc",
    "/board", "/board/", "/board/ws", "/board/autoload.js", "/board/metadata", "/favicon.ico",
    "/static/js/bokeh.min.js", "/static/extensions/panel/panel.min.js", "/components/x/y/z.js",
    "/liveness", "/admin", "/nothing",
)  # fmt: skip
FOREIGN = (
    {"Host": "evil.example"},
    {"Host": "evil.example:80"},
    {"Host": ""},
    {"Host": "localhost"},  # another port of this machine, another server
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1@evil.example"},
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    return toy.store_with(tmp_path_factory.mktemp("guard") / "store", toy.residuals(3, n=200))


@pytest.fixture(scope="module")
def plain(stored, servers, tmp_path_factory) -> Site:
    store, key = stored
    return start(store.root, key, servers, tmp_path_factory.mktemp("log") / "server.log")


@pytest.fixture(scope="module")
def named(stored, servers, tmp_path_factory) -> Site:
    """A server under a prefix that knows other names."""
    store, key = stored
    log = tmp_path_factory.mktemp("log") / "server.log"
    return start(store.root, key, servers, log, "hub.example tunnel.example:8000", "/user/me")


def ask(site: Site, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict]:
    parts = urlsplit(site.url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode("utf-8", "replace") if answer.status != 101 else ""
    connection.close()
    return answer.status, text, dict(answer.getheaders())


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_foreign_names_are_refused_on_every_path_before_any_handler(plain, headers):
    for path in PATHS:
        for method in ("GET", "HEAD", "POST", "OPTIONS"):
            status, text, answer = ask(plain, path, method, **UPGRADE, **headers)
            assert status == 403, (path, method)
            assert "token" not in text
            assert "Access-Control-Allow-Origin" not in answer
            assert answer["Content-Security-Policy"].startswith("default-src 'none'")
            if method == "GET":
                assert "--origin HOST[:PORT]" in text


@pytest.mark.parametrize(
    "path", [p for p in PATHS if p.startswith(("/board", "/static", "/comp", "/live", "/adm"))]
)
def test_of_the_frameworks_own_pages_only_the_connection_is_there(plain, path):
    parts = urlsplit(plain.url)
    own = {"Host": parts.netloc, "Origin": f"http://{parts.netloc}"}
    status, _, headers = ask(plain, path, **own)
    if path == "/board/ws":
        assert status == 400, "an upgrade is wanted"
        assert ask(plain, path, **own, **UPGRADE)[0] == 101
    else:
        assert status == 404
        assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("path", ["/", "/?page=store", "/alive", "/script/bokeh.js"])
def test_every_answer_has_a_policy(plain, path):
    status, _, headers = ask(plain, path)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("host", "origin", "expected"),
    [
        ("hub.example", "https://hub.example", 200),
        ("Hub.Example:443", "https://hub.example", 200),
        ("hub.example:8000", "https://hub.example", 403),
        ("tunnel.example:8000", "http://tunnel.example:8000", 200),
        ("tunnel.example", "http://tunnel.example", 403),
        ("hub.example", "https://evil.example", 403),
        ("evil.example", "https://hub.example", 403),
        ("sub.hub.example", "https://sub.hub.example", 403),
    ],
)
def test_named_origins_are_answered_and_no_others(named, host, origin, expected):
    assert ask(named, "/user/me/alive", Host=host, Origin=origin)[0] == expected
    upgraded = ask(named, "/user/me/board/ws", Host=host, Origin=origin, **UPGRADE)[0]
    assert upgraded == (101 if expected == 200 else 403)


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/user/me/", 200, None),
        ("/user/me", 302, "me/"),
        ("/user/me/pdf", 302, "./?page=pdf"),
        ("/user/me/events?label=1,2", 302, "./?page=events&label=1,2"),
        ("/", 404, None),
        ("/pdf", 404, None),
        ("//evil.example/", 404, None),
    ],
)
def test_pages_have_short_names_below_the_prefix(named, path, status, location):
    answered, _, headers = ask(named, path)
    assert (answered, headers.get("Location")) == (status, location)


@pytest.mark.parametrize("text", ["*", "*:80", "", "a b", "http://h/path", "h:port", "user@h"])
def test_what_is_no_origin_is_refused_in_words(text):
    from dashboards.guard import origin_of

    with pytest.raises(ValueError, match=r"HOST\[:PORT\]"):
        origin_of(text)


@pytest.mark.parametrize("option", [["--origin", "*"], ["--prefix", "/../x"]])
def test_the_command_refuses_such_addresses_before_it_serves(tmp_path, option):
    from typer.testing import CliRunner

    from presage.cli.main import app

    found = CliRunner().invoke(app, ["dashboard", "--store", str(tmp_path), "--no-show", *option])
    assert found.exit_code == 2
    assert option[1] in found.output


def test_addresses_are_taken_as_the_browser_shows_them():
    from dashboards.app import settings
    from dashboards.guard import origin_of, prefix_of

    found = settings(5006)
    assert found["address"] == "127.0.0.1"
    assert found["websocket_origin"] == ["localhost:5006", "127.0.0.1:5006"]
    assert origin_of("https://Hub.example/") == ["hub.example", "hub.example:80", "hub.example:443"]
    assert origin_of("[::1]:8000") == ["[::1]:8000"]
    assert [prefix_of(text) for text in ("", "/", "a/b/", "/a")] == ["", "", "/a/b", "/a"]
    for text in ("/a/../b", "/a b", "/<x>", "/a?b"):
        with pytest.raises(ValueError, match="/some/path"):
            prefix_of(text)


@needs_browser
def test_a_foreign_name_that_leads_here_shows_nothing_in_a_browser(plain):
    from playwright.sync_api import sync_playwright

    port = urlsplit(plain.url).port
    with sync_playwright() as play:
        flags = [*FLAGS, "--host-resolver-rules=MAP evil.example 127.0.0.1"]
        chromium = play.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = chromium.new_page()
        for path in ("/", "/board", "/board/autoload.js"):
            answer = page.goto(f"http://evil.example:{port}{path}", timeout=PATIENCE)
            assert answer.status == 403
        opened = page.evaluate(
            """(port) => new Promise((done) => {
              const socket = new WebSocket(`ws://127.0.0.1:${port}/board/ws`, ["bokeh", "x"]);
              socket.onopen = () => done("open");
              socket.onerror = () => done("refused");
            })""",
            port,
        )
        assert opened == "refused"
        chromium.close()


@needs_browser
@pytest.mark.parametrize("keeps", [True, False])
def test_pages_work_behind_a_proxy_that_keeps_its_path_and_one_that_takes_it_away(
    visit, stored, servers, tmp_path, keeps
):
    store, key = stored
    with socket.create_server(("127.0.0.1", 0)) as door:
        origin = f"127.0.0.1:{door.getsockname()[1]}"
        prefix = "/hub/me" if keeps else ""
        site = start(store.root, key, servers, tmp_path / "server.log", origin, prefix)
        port, cut = urlsplit(site.url).port, b"" if keeps else b"/hub/me"
        threading.Thread(target=_proxy, args=(door, port, cut), daemon=True).start()
        visit.open(f"http://{origin}/hub/me/")
        assert "phi mass" in visit.piece("table.numbers")
        assert urlsplit(visit.page.url).path == "/hub/me/"
        visit.page.get_by_role("link", name="Store").click()
        visit.page.locator("table.entries").wait_for(timeout=PATIENCE)
        visit.page.get_by_role("button", name="Check all").click()
        visit.page.locator("#all.good").wait_for(timeout=PATIENCE)
        visit.open(f"http://{origin}/hub/me/events?strip=ratio")
        assert visit.page.evaluate("presage.state.strip") == "ratio"


def _proxy(door: socket.socket, port: int, cut: bytes) -> None:
    """Pass connections on; `cut` is taken off the path of each request."""
    while True:
        try:
            visitor, _ = door.accept()
        except OSError:
            return
        server = socket.create_connection(("127.0.0.1", port))
        for source, sink, off in ((visitor, server, cut), (server, visitor, b"")):
            threading.Thread(target=_pass, args=(source, sink, off), daemon=True).start()


def _pass(source: socket.socket, sink: socket.socket, cut: bytes) -> None:
    try:
        while part := source.recv(1 << 16):
            method, space, rest = part.partition(b" ")
            if cut and method in (b"GET", b"POST") and rest.startswith(cut + b"/"):
                part = method + space + rest[len(cut) :]
            sink.sendall(part)
    except OSError:
        pass
    finally:
        sink.close()
