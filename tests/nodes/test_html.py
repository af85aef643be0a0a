"""What notebooks show of arrays and groups: HTML that is whole, escaped and bounded, of any node, without reads."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gpuzarr
from tests import corpus
from tests.conftest import examples
from tests.stores.counting_client import remote

VOID = {"br", "img", "hr", "input", "meta", "link"}
KNOWN = {
    *("div", "span", "b", "code", "details", "summary", "ul", "li", "table", "tbody", "tr", "th", "td"),
    *("svg", "polygon", "path", "text"),
}
HOSTILE = '<script>alert("1")</script>&\'\x00\n\u202e\ud800'


class Parsed(HTMLParser):
    """Text and tags; the tests fail for tags that do not match, and for those that are not of ours."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.tags: list[str] = []
        html.encode()  # no half of a pair, which no notebook could store
        self.feed(html)
        self.close()
        assert not self.open
        self.text = " ".join(self.texts)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        assert tag in KNOWN and tag not in VOID, tag
        assert not {name for name, _ in attributes} & {"src", "href", "onclick", "onload"}
        self.open.append(tag)
        self.tags.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        assert tag in KNOWN, tag
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def shown(node: Any, most: int = 16_000) -> Parsed:
    html = node._repr_html_()
    assert len(html) <= most
    markup = re.sub(r">[^<]*<", "><", html)
    assert not re.search(r"https?:|url\(|#[0-9a-fA-F]{3}|rgb", markup)  # nothing from elsewhere, no colour of its own
    return Parsed(html)


def test_facts_of_an_array() -> None:
    a = gpuzarr.create_array(
        {},
        shape=(100, 64, 64),
        shards=(50, 64, 64),
        chunks=(10, 32, 32),
        dtype="u2",
        fill_value=7,
        compressors="zstd",
        dimension_names=("time", "y", None),
        attributes={"units": "K"},
        device="cpu",
    )
    found = shown(a).text
    for fact in (
        "(time: 100, y: 64, 64)",
        "uint16",
        "800 KiB, decoded",
        "(10, 32, 32), 20.0 KiB each, 40 in all",
        "(50, 64, 64), 400 KiB each, 2 in all",
        "bytes → zstd",
        "Fill value 7",
        "Zarr v3, writable",
        "Device cpu",
        "GPU decodes yes",
        "Attributes (1)",
        "units K",
        "time 100",
    ):
        assert fact in found, fact


def test_why_a_gpu_does_not_decode() -> None:
    a = gpuzarr.create_array({}, shape=(4,), dtype="f4", compressors=None, filters=None, device="cpu")
    assert "GPU decodes yes" in shown(a).text
    verdict = a.explain()
    text = gpuzarr.array(np.array(["a", "b"]), device="cpu")
    assert verdict.gpu_decode == "yes" and f"GPU decodes no: {text.explain().because}" in shown(text).text


def test_hostile_text_is_escaped() -> None:
    g = gpuzarr.group({}, attributes={HOSTILE[:-1]: [HOSTILE[:-1]], "a": HOSTILE[:-1]})
    name = "<script>&'\"<b>"
    a = g.create_array(name, shape=(3,), dtype="i4", attributes={"<i>": "</td></table>"}, dimension_names=("<x>",))
    for node in (g, a):
        found = shown(node)
        assert "script" not in found.tags and "i" not in found.tags
        assert name in found.text and "<x>" in found.text and "</td></table>" in found.text
    assert "\x00" not in g._repr_html_() and "\u202e" not in g._repr_html_()


def test_half_of_a_pair_is_spelt_out() -> None:
    document = {"zarr_format": 3, "node_type": "group", "attributes": {"k\ud800": "v\udfff"}}
    found = shown(gpuzarr.open({"zarr.json": json.dumps(document).encode()}, device="cpu"))
    assert "k\\ud800" in found.text and "v\\udfff" in found.text


def test_large_groups_say_how_much_is_left_out() -> None:
    g = gpuzarr.group({}, attributes={f"a{i}": "x" * 1000 for i in range(100)})
    for i in range(200):
        g.create_group(f"n{i:03}")
    found = shown(g, most=60_000)
    assert "n000" in found.text and "n199" not in found.text
    left = int(re.search(r"… (\d+) more names", found.text)[1])  # type: ignore[index]
    assert left + len(re.findall(r"\bn\d\d\d\b", found.text)) == 200
    assert "60 more" in found.text


def test_deep_and_wide_hierarchies_are_bounded() -> None:
    store: dict[str, bytes] = {}
    g = gpuzarr.group(store)
    node = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}}).encode()
    store.update({"/".join(["d"] * depth) + "/zarr.json": node for depth in range(1, 400)})
    store.update({f"w{i}/zarr.json": node for i in range(20)})
    store.update({f"w{i}/{j}/zarr.json": node for i in range(20) for j in range(20)})
    found = shown(g, most=40_000)
    assert "not listed here" in found.text and found.tags.count("details") < 100
    for i in range(20):
        assert f"w{i}" in found.text  # all of the upper level come before what is below


def test_a_damaged_member_is_shown_with_its_error() -> None:
    store: dict[str, bytes] = {}
    g = gpuzarr.group(store)
    g["good"] = [1, 2]
    store["bad/zarr.json"] = b'{"zarr_format": 3, "node_type": "array", "shape": "<b>"}'
    found = shown(g)
    assert "good" in found.text and "cannot be opened: MetadataError" in found.text


def test_a_store_that_lists_nothing() -> None:
    class Closed(dict[str, bytes]):
        def __iter__(self) -> Any:
            raise PermissionError("<no> listing")

        def keys(self) -> Any:
            raise PermissionError("<no> listing")

    store = Closed()
    g = gpuzarr.group(store)
    found = shown(g)
    assert "cannot be listed" in found.text and "<no> listing" in found.text


def test_no_chunk_is_read_and_an_array_reads_nothing() -> None:
    store, client = remote()
    g = gpuzarr.create_group(store)
    a = g.create_array("a", data=np.arange(100), chunks=10, shards=20)
    client.forget()
    assert "GPU decodes" in shown(a).text
    assert not client.asked and not client.looks and not client.lists
    assert "100" in shown(g).text
    assert client.lists and not [key for key in (*client.asked, *client.looks) if "/c/" in key]


def test_a_place_that_cannot_be_listed_says_so() -> None:
    store, _ = remote(can_list=False)
    assert "cannot be listed: StoreError" in shown(gpuzarr.create_group(store)).text


shapes = st.lists(st.integers(0, 40) | st.sampled_from([10**9, 2**62]), max_size=9).filter(
    lambda shape: np.prod([float(n or 1) for n in shape]) < 2**62
)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), shape=shapes)
def test_any_grid_is_drawn_in_bounded_size(data: st.DataObject, shape: list[int]) -> None:
    chunks = [data.draw(st.integers(1, max(n, 1))) for n in shape]
    shards = [n * data.draw(st.integers(1, 3)) for n in chunks] if data.draw(st.booleans()) and shape else None
    a = gpuzarr.create_array({}, shape=shape, chunks=chunks, shards=shards, dtype="u1", device="cpu")
    html = a._repr_html_()
    found = shown(a)
    assert html.count("M") < 25 * 2 * 9 + 50 and "no drawing" not in found.text and "cannot be told" not in found.text
    width, height = map(int, re.search(r'width="(\d+)" height="(\d+)"', html).groups())  # type: ignore[union-attr]
    assert width < 600 and height < 600
    for points in re.findall(r'points="([^"]*)"', html):
        for x, y in (map(float, point.split(",")) for point in points.split()):
            assert 0 <= x <= width + 1 and 0 <= y <= height


def test_lines_are_where_chunks_end() -> None:
    a = gpuzarr.create_array({}, shape=(10,), chunks=(4,), dtype="u1", device="cpu")
    places = [float(x) - 1 for x in re.findall(r"M([\d.]+) ", a._repr_html_())]
    assert places == [64.0, 128.0]  # of 160 pixels
    b = gpuzarr.create_array({}, shape=(10,), chunks=[[1, 4, 5]], dtype="u1", device="cpu")
    assert [float(x) - 1 for x in re.findall(r"M([\d.]+) ", b._repr_html_())] == [16.0, 80.0]


@corpus.needed
def test_every_array_of_the_corpus() -> None:
    for row in corpus.zarr_rows("directory"):
        try:
            a = gpuzarr.open_array(corpus.objects(row["path"]), device="cpu", zarr_format=int(row["format"][1]))
        except gpuzarr.GpuZarrError:
            continue
        assert "cannot be told" not in shown(a).text.replace("Fill value cannot be told", ""), row["path"]
