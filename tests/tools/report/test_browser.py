"""The page in a real browser: it runs alone, every figure is drawn, nothing is fetched, nothing complains (KTW-12)."""

import io
import json
import shutil

import numpy as np
import pytest

from tools.report.__main__ import main

from .test_decisions import line

CHROMIUM = shutil.which("chromium")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--no-first-run",
             "--disable-component-update", "--disable-sync"]  # fmt: skip
EVIL = "<img src=x onerror='window.owned=1'></script><script>window.owned=1</script><a href='javascript:1'>x</a>"
# Plots without ink: no svg, or nothing drawn in it.
EMPTY = """() => [...document.querySelectorAll('.plot')].filter(plot =>
    !plot.querySelector('svg.main-svg') || plot.querySelectorAll('svg path[d]').length < 5
    || plot.getBoundingClientRect().height < 100).map(plot => plot.dataset.figure)"""
PAGES = [(1280, "light"), (1280, "dark"), (390, "light")]


@pytest.fixture
def page_file(world, tmp_path):
    """Return a report with every section, and hostile tags in it."""
    pairs = list(world.frames)
    log = tmp_path / "forecasts.jsonl"
    log.write_text("".join(json.dumps(line(("v1", 0, 1999), ("v2", 2000, 4319), pair=pair)) + "\n" for pair in pairs))
    trades = [*world.busy(80), world.trade(pairs[0], 4310, 5, tag=EVIL, reason=EVIL)]
    path = world.write({EVIL: world.stats(trades)})
    out = tmp_path / "report.html"
    assert main([str(path), "--datadir", str(world.datadir), "--out", str(out), "--forecast-log", str(log)]) == 0
    return out


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium: run tools/system-packages.sh")
def test_the_page_draws_everything_alone_without_a_complaint(page_file, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api")
    complaints, requests = [], []
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width, scheme in PAGES:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(page_file.as_uri())
            page.wait_for_function("window.reportReady === true", timeout=60_000)
            assert page.locator(".plot").count() == 5
            assert page.evaluate(EMPTY) == []
            for option in page.locator("#pair option").all():
                page.select_option("#pair", option.get_attribute("value"))
                page.wait_for_timeout(100)
                assert page.evaluate(EMPTY) == []
            assert page.evaluate("window.owned") is None
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            _assert_not_blank(page.screenshot(path=tmp_path / f"{width}-{scheme}.png", full_page=True), scheme)
            page.close()
        browser.close()
    assert complaints == []
    assert set(requests) == {page_file.as_uri()}


def _assert_not_blank(png, scheme):
    image = pytest.importorskip("PIL.Image").open(io.BytesIO(png)).convert("RGB")
    pixels = np.asarray(image)
    assert pixels.shape[0] > 2000
    ground = pixels[:20].mean()
    assert ground > 200 if scheme == "light" else ground < 60
    blue = (pixels[..., 2].astype(int) - pixels[..., 0] > 100).sum()  # the strategy's line
    assert blue > 1000
    assert len(np.unique(pixels.reshape(-1, 3)[::50], axis=0)) > 100
