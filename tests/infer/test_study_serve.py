"""The pages of a study: what a link may do, and what mistakes cost."""

import asyncio
import collections
import json
import resource
import shutil
import socket

import httpx
import pytest

from infer.__main__ import main
from infer.study.database import Database
from infer.study.serve import application
from tests.infer.study_folder import SCREEN, made, stored


class Web:
    """Requests to the application of a study, without a network."""

    def __init__(self, folder):
        self.study = Database(folder)
        self.links = [row[1] for row in self.study.people()]
        self._transport = httpx.ASGITransport(application(self.study))

    def request(self, method, path, **content):
        async def send():
            async with httpx.AsyncClient(transport=self._transport, base_url="http://test") as one:
                return await one.request(method, path, **content)

        return asyncio.run(send())

    def get(self, path):
        return self.request("GET", path)

    def post(self, person, action, **body):
        return self.request("POST", f"/{self.links[person]}/{action}", json=body)

    def begin(self, person=0):
        """Open a window, agree, pass the screen check; returns its state."""
        state = self.post(person, "open").json()
        for action, body in (("agree", {}), ("screen", {"screen": SCREEN})):
            state = self.post(person, action, window=state["window"], **body).json()
        return state

    def rate(self, state, person=0, scores=(1, 2, 3), **other):
        """Give scores on the screen of a state; returns the last response."""
        for slot, score in enumerate(scores):
            body = {"window": state["window"], "position": state["item"]["position"]}
            body |= {"slot": slot, "score": score, "elapsed_ms": 500 * slot} | other
            response = self.post(person, "rate", **body)
        return response

    def finish(self, state, person=0):
        position = state["item"]["position"]
        body = {"window": state["window"], "position": position, "elapsed_ms": 9000}
        return self.post(person, "finish", **body)


@pytest.fixture
def web(tmp_path):
    one = Web(made(tmp_path))
    yield one
    one.study.close()


def test_a_person_goes_from_the_first_page_to_the_last(web):
    page = web.get(f"/{web.links[0]}")
    assert page.status_code == 200 and "Which pictures look best?" in page.text
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("http-equiv", "")
    state = web.post(0, "open").json()
    assert not state["consent"] and not state["screen"] and state["total"] == 4
    state = web.begin()
    assert state["consent"] and state["screen"] and state["item"]["training"]
    for done in range(4):
        assert state["done"] == done
        web.rate(state)
        response = web.finish(state)
        assert response.status_code == 200 and web.finish(state).json() == response.json()
        state = response.json()
    assert state["item"] is None and len(stored(web.study.folder)) == 12


def test_a_closed_browser_resumes_where_it_was(web):
    state = web.begin()
    web.rate(state, scores=(4, 2))
    again = web.post(0, "open").json()
    assert again["item"]["position"] == state["item"]["position"]
    assert again["item"]["scores"] == {"0": 4, "1": 2} and again["item"]["elapsed_ms"] == 500


def test_a_link_that_was_never_given(web):
    for path in ("/", "/abcdefghijkm", "/' OR 1=1 --", "/static/../serve.py", "/static/x.js"):
        assert web.get(path).status_code == 404, path
    page = web.get("/abcdefghijkm")
    assert "This link is not known" in page.text
    response = web.request("POST", "/abcdefghijkm/open", json={})
    assert response.status_code == 404 and "not known" in response.json()["error"]
    assert len(set(web.links)) == 4 and all(len(link) == 12 for link in web.links)


def test_a_link_reads_and_writes_its_own_person_only(web):
    state, other = web.begin(0), web.begin(1)
    own = state["item"]["pictures"][2]
    picture = web.get(f"/{web.links[0]}/picture/{own}")
    assert picture.status_code == 200 and picture.headers["content-type"] == "image/png"
    seen = [row for row in web.study._all("SELECT picture FROM pictures")]
    strange = [p for (p,) in seen if not web.study.may_see(0, p)]
    assert strange and web.get(f"/{web.links[0]}/picture/{strange[0]}").status_code == 404
    assert web.get(f"/{web.links[0]}/picture/..%2f..%2fstudy.db").status_code == 404
    web.rate(other, 1, scores=(5, 4, 3))
    assert web.post(0, "open").json()["item"]["scores"] == {}
    assert {key[0] for key in stored(web.study.folder)} == {1}


NUMBERS = [
    ({"score": 7}, "a score must be a whole number in 1..5, got 7"),
    ({"score": 0}, "in 1..5, got 0"),
    ({"score": 2.5}, "in 1..5, got 2.5"),
    ({"score": True}, "in 1..5, got True"),
    ({"score": "3"}, "in 1..5, got '3'"),
    ({"score": None}, "in 1..5, got None"),
    ({"slot": 3}, "a slot must be a whole number in 0..2, got 3"),
    ({"slot": -1}, "in 0..2, got -1"),
    ({"elapsed_ms": -5}, "the time in ms must be a whole number"),
    ({"elapsed_ms": 10**12}, "the time in ms must be a whole number"),
]


def test_a_rating_of_7_and_other_numbers(web):
    state = web.begin()
    for body, sentence in NUMBERS:
        response = web.rate(state, scores=(1,), **body)
        assert response.status_code == 400 and sentence in response.json()["error"], body
    assert stored(web.study.folder) == {}


def test_requests_that_are_none(web):
    link, state = web.links[0], web.begin()
    for content in (b"[]", b"{", b"\xff", b'{"a":"' + b"x" * 20_000 + b'"}'):
        response = web.request("POST", f"/{link}/rate", content=content)
        assert response.status_code == 400 and response.json()["error"]
    assert web.post(0, "steal").status_code == 400
    for screen in (None, {}, SCREEN | {"zoom": "100"}, SCREEN | {"width": -1}):
        response = web.post(0, "screen", window=state["window"], screen=screen)
        assert response.status_code == 400
    assert web.get(f"/{link}/rate").status_code == 405


def test_nothing_is_kept_before_a_person_agrees(web):
    state = web.post(0, "open").json()
    response = web.rate(state)
    assert response.status_code == 409 and "agree" in response.json()["error"]
    assert stored(web.study.folder) == {}


def test_all_alike_and_missing_scores_are_refused(web):
    state = web.begin()
    web.rate(state, scores=(3, 3))
    assert "1 of 3 results have no score yet" in web.finish(state).json()["error"]
    web.rate(state, scores=(3, 3, 3))
    response = web.finish(state)
    assert response.status_code == 400 and "the same score" in response.json()["error"]
    web.rate(state, scores=(3, 3, 4))
    assert web.finish(state).json()["done"] == 1


def test_two_windows_of_one_person(web):
    first = web.begin()
    web.rate(first, scores=(1,))
    second = web.post(0, "open").json()
    for response in (web.rate(first, scores=(5,)), web.finish(first)):
        assert response.status_code == 409 and "another window" in response.json()["error"]
    web.rate(second, scores=(2, 3, 4))
    state = web.finish(second).json()
    assert web.rate(second).status_code == 409, "that screen is closed"
    assert state["done"] == 1
    assert stored(web.study.folder) == {(0, 0, 0): 2, (0, 0, 1): 3, (0, 0, 2): 4}


def test_a_full_disk_loses_nothing_and_says_so(web):
    state = web.begin()
    web.rate(state, scores=(4,))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))  # bytes a file may have
    try:
        response = web.rate(state, scores=(4, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert response.status_code == 503 and "study.db" in response.json()["error"]
    assert web.post(0, "open").json()["item"]["scores"] == {"0": 4}
    web.rate(web.post(0, "open").json(), scores=(4, 2))
    assert stored(web.study.folder) == {(0, 0, 0): 4, (0, 0, 1): 2}


def test_a_study_that_is_moved_while_it_is_served(web, tmp_path):
    state = web.begin()
    shutil.move(web.study.folder, tmp_path / "elsewhere")
    response = web.rate(state)
    assert response.status_code == 503 and "was moved or removed" in response.json()["error"]
    picture = web.get(f"/{web.links[0]}/picture/{state['item']['pictures'][0]}")
    assert picture.status_code == 503 and "is missing" in picture.json()["error"]
    web.study.close()
    moved = Web(tmp_path / "elsewhere")
    assert moved.links == web.links
    assert moved.rate(moved.begin()).status_code == 200
    moved.study.close()


def test_a_port_that_is_taken_or_none(tmp_path, capsys):
    folder = str(made(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["study", "serve", folder, "--host", "127.0.0.1", "--port", port]) == 1
    line = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1, port {port}" in line and line.count("\n") == 1
    assert main(["study", "serve", folder, "--port", "70000"]) == 2
    assert "a port is in 0..65535, got 70000" in capsys.readouterr().err


def test_the_links_are_printed_with_how_far_people_are(tmp_path):
    from infer.study.serve import links

    web = Web(made(tmp_path))
    state = web.begin()
    web.rate(state)
    web.finish(state)
    lines = list(links(web.study, "http://here"))
    assert lines[0].startswith("4 links") and lines[1].split()[1:] == [
        f"http://here/{web.links[0]}",
        "1",
        "of",
        "4",
    ]
    assert collections.Counter(len(line.split()) for line in lines[2:]) == {2: 3}
    assert json.loads(web.study.people()[0][3]) == SCREEN
    web.study.close()
