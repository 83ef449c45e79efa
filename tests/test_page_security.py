"""Other pages of the browser cannot use the playground: another server on this machine, a file, a rebound name."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from helpers.browser import FLAGS, chromium
from helpers.needs import needs
from helpers.playground_server import TOKEN, Served, a_playground
from helpers.waiting import until
from helpers.watched_page import served

#: Attacks of a page, as JavaScript that gives true if it has read or changed something.
ATTACKS = {
    "fetch": "fetch(target + '/api/state').then((answer) => answer.ok)",
    "fetch with credentials": "fetch(target + '/api/state', { credentials: 'include' }).then((answer) => answer.ok)",
    "fetch no-cors": "fetch(target + '/api/state', { mode: 'no-cors' }).then((answer) => answer.status === 200)",
    "fetch the page": "fetch(target + '/').then((answer) => answer.ok)",
    "a simple POST": """fetch(target + '/api/control', { method: 'POST', mode: 'no-cors',
        headers: { 'content-type': 'text/plain' }, body: '{"action": "play"}' })
        .then((answer) => answer.status === 200)""",
    "a POST of JSON": """fetch(target + '/api/control', { method: 'POST',
        headers: { 'content-type': 'application/json' }, body: '{"action": "play"}' }).then((answer) => answer.ok)""",
    "a POST of bytes": """fetch(target + '/api/data?name=a.zip', { method: 'POST',
        headers: { 'content-type': 'application/octet-stream' }, body: 'PK' }).then((answer) => answer.ok)""",
    "a beacon": """new Promise((done) => { navigator.sendBeacon(target + '/api/control', '{"action": "play"}');
        setTimeout(() => done(false), 300); })""",
    "an image": """new Promise((done) => { const image = new Image(); image.onload = () => done(true);
        image.onerror = () => done(false); image.src = target + '/api/weights'; })""",
    "a script": """new Promise((done) => { const script = document.createElement('script'); script.type = 'module';
        script.onload = () => done(true); script.onerror = () => done(false); script.src = target + '/page/main.js';
        document.body.append(script); })""",
    "a style": """new Promise((done) => { const link = document.createElement('link'); link.rel = 'stylesheet';
        link.onload = () => done(true); link.onerror = () => done(false); link.href = target + '/page/byhand.css';
        document.body.append(link); })""",
    "a frame": """new Promise((done) => { const frame = document.createElement('iframe'); frame.src = target + '/';
        frame.onload = () => { try { done(frame.contentDocument.body.textContent.includes('digit')); }
                               catch { done(frame.contentWindow.length > 0); } }; document.body.append(frame); })""",
    "an event source": """new Promise((done) => { const source = new EventSource(target + '/api/events');
        source.onopen = () => done(true); source.onerror = () => { source.close(); done(false); }; })""",
    "a web socket": """new Promise((done) => {
        const socket = new WebSocket(target.replace('http', 'ws') + '/api/events');
        socket.onopen = () => done(true); socket.onerror = () => done(false); })""",
    "a broadcast": """new Promise((done) => { const tabs = new BroadcastChannel('byhand');
        tabs.onmessage = () => done(true); tabs.postMessage({ asks: true }); setTimeout(() => done(false), 300); })""",
    "an opened window": """new Promise((done) => { const other = window.open(target + '/'); setTimeout(() => {
        try { done(Boolean(other?.document?.body)); } catch { done(false); } }, 500); })""",
}


class Stranger(BaseHTTPRequestHandler):
    """Another server on this machine. It records what the browser sends to it."""

    seen: list[str]

    def do_GET(self) -> None:
        self.seen.append(f"{self.path} {self.headers}")
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>another server</title><body>")

    do_POST = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def browser():
    """Chromium, for which the name rebound.test is this machine."""
    playwright_api = needs("playwright.sync_api")
    with playwright_api.sync_playwright() as playwright:
        rule = "--host-resolver-rules=MAP rebound.test 127.0.0.1"
        running = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, rule])
        yield running
        running.close()


@pytest.fixture
def stranger():
    handler = type("Handler", (Stranger,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.seen = handler.seen
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def owner(browser, served):
    """The browser of the playground's owner, with the playground open in a tab."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(served.address)
    until(lambda: page.evaluate("document.documentElement.dataset.ready"))
    yield context
    context.close()


def succeeded(page, target: str) -> list[str]:
    """Return the attacks of this page that have read or changed something."""
    results = {}
    for name, attack in ATTACKS.items():
        script = f"async (target) => {{ try {{ return await ({attack}); }} catch {{ return false; }} }}"
        results[name] = page.evaluate(script, target)
    return [name for name, result in results.items() if result is not False]


def test_another_server_on_this_machine_reads_and_changes_nothing(owner, served, stranger):
    page = owner.new_page()
    page.goto(f"http://127.0.0.1:{stranger.server_port}/")
    assert succeeded(page, f"http://127.0.0.1:{served.port}") == []
    assert succeeded(page, f"http://localhost:{served.port}") == []
    page.set_content(
        f"<form id=f method=post enctype=text/plain action=http://127.0.0.1:{served.port}/api/control>"
        """<input name='{"action": "play", "x": "' value='"}'></form>"""
    )
    page.evaluate("document.getElementById('f').submit()")
    page.wait_for_url(f"http://127.0.0.1:{served.port}/**")
    assert "requests must come from" in page.content() or "Origin must be" in page.content()
    assert served.playground.step_number == 0
    assert served.training.status == "ready"
    assert not any(TOKEN in seen for seen in stranger.seen)  # cookies know no ports; there are none


def test_a_file_reads_and_changes_nothing(owner, served, tmp_path):
    (tmp_path / "page.html").write_text("<!doctype html><title>a file</title><body>", "utf-8")
    page = owner.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    assert succeeded(page, f"http://127.0.0.1:{served.port}") == []
    assert served.training.status == "ready"


def test_a_rebound_name_gets_nothing(owner, served):
    page = owner.new_page()
    answer = page.goto(f"http://rebound.test:{served.port}/")
    assert answer.status == 403
    assert succeeded(page, "") == ["an opened window"]  # it shows the rejection
    assert served.training.status == "ready"


def test_a_link_without_the_token_works_beside_an_open_tab(browser, owner, served):
    page = owner.new_page()
    page.goto(f"http://127.0.0.1:{served.port}/#layers=9&seed=5")
    until(lambda: page.evaluate("window.byhand?.state?.setup.seed") == 5)
    other = browser.new_context()
    page = other.new_page()
    page.goto(f"http://127.0.0.1:{served.port}/#layers=9&seed=5")
    until(lambda: page.evaluate("document.documentElement.dataset.failed"))
    assert "Open the one that byhand play printed" in page.locator("#model-line").inner_text()
    assert page.evaluate("location.hash") == "#layers=9&seed=5"
    assert not page.locator("canvas.pad").is_visible()
    other.close()


def test_a_tab_of_an_earlier_launch_says_so(owner, served, tmp_path):
    """After a restart on the same port, the old token is worth nothing."""
    page = owner.pages[0]
    served.close()
    again = Served(a_playground(tmp_path / "other"), port=served.port, token="another launch")
    try:
        until(lambda: "each launch has its own" in page.locator("#problem").text_content())
        assert page.locator("#status").inner_text() == "no connection"
        assert again.playground.training_number == 0
    finally:
        again.close()
